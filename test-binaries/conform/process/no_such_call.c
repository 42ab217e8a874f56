/* Numbers of no system call give ENOSYS, and registers survive a call as the ABI says. */
#include "../tst.h"

int main(void)
{
	unsigned long rax, rbx = 1, rbp, r8 = 8, r9 = 9, r10 = 10, r12 = 12, rdi = 3, rsi = 4, rdx = 5, rcx, r11;

	CHECK_ERR(syscall(9999), ENOSYS);
	CHECK_ERR(syscall(-1), ENOSYS);
	CHECK_ERR(syscall(500), ENOSYS);
	CHECK(syscall(1L << 40 | SYS_getppid) == getppid(), "only the lower half of RAX counts");
	CHECK_ERR(syscall(SYS_uselib, "x"), ENOSYS);
	CHECK_ERR(syscall(SYS_create_module, "x", 1), ENOSYS);

	/* getppid with every register set: all but RAX, RCX and R11 have to come back. */
	__asm__ volatile("mov %7, %%r8; mov %8, %%r9; mov %9, %%r10; mov %10, %%r12\n\t"
			 "syscall\n\t"
			 "mov %%r8, %7; mov %%r9, %8; mov %%r10, %9; mov %%r12, %10"
			 : "=a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "=c"(rcx), "+b"(rbx), "=&r"(rbp), "+m"(r8),
			   "+m"(r9), "+m"(r10), "+m"(r12)
			 : "0"((unsigned long)SYS_getppid)
			 : "r8", "r9", "r10", "r11", "r12", "memory");
	CHECK((pid_t)rax == getppid(), "a call by hand");
	CHECK(rdi == 3 && rsi == 4 && rdx == 5 && rbx == 1, "RDI, RSI, RDX and RBX are kept");
	CHECK(r8 == 8 && r9 == 9 && r10 == 10 && r12 == 12, "R8, R9, R10 and R12 are kept");
	__asm__ volatile("pushfq; pop %%rdx; syscall" : "=a"(rax), "=d"(rdx), "=c"(rcx) : "0"((unsigned long)SYS_getppid) : "r11", "memory");
	__asm__ volatile("syscall\n\tmov %%r11, %1" : "=a"(rax), "=r"(r11), "=c"(rcx) : "0"((unsigned long)SYS_getppid) : "r11", "memory");
	CHECK((r11 & 0x200) && !(r11 & 0x100), "R11 holds the flags");
	return tst_done();
}
