/* A handler disturbs nothing: registers, vector registers, flags, errno-free calls and the red zone are as before. */
#include "../tst.h"

static volatile sig_atomic_t count;

static void handler(int signal)
{
	volatile char room[512];
	double garbage[16];

	(void)signal;
	memset((char *)room, 0xee, sizeof(room));
	for (int i = 0; i < 16; i++)
		garbage[i] = 1.0 / (i + count);
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm8, %%xmm8; pxor %%xmm15, %%xmm15; std; cld" ::"r"(garbage)
			 : "xmm0", "xmm1", "xmm8", "xmm15", "memory");
	count++;
}

/* Reached by name from the assembly, which needs the registers for itself. */
__attribute__((used)) static unsigned char in[64] __asm__("state_in");
__attribute__((used)) static unsigned char out[64] __asm__("state_out");
__attribute__((used)) static unsigned long kept[9] __asm__("state_kept");

int main(void)
{
	struct sigaction action = { .sa_handler = handler };

	for (int i = 0; i < 64; i++)
		in[i] = i * 3 + 1;
	MUST(sigaction(SIGUSR1, &action, NULL));
	__asm__ volatile("movdqu state_in(%%rip), %%xmm0; movdqu 16+state_in(%%rip), %%xmm1\n\t"
			 "movdqu 32+state_in(%%rip), %%xmm8; movdqu 48+state_in(%%rip), %%xmm15\n\t"
			 "movq $0x5a5a, -8(%%rsp); movq $0x6b6b, -128(%%rsp)\n\t"
			 "mov $101, %%rbx; mov $102, %%r8; mov $103, %%r9; mov $104, %%r10; mov $105, %%r13; mov $106, %%r15\n\t"
			 "stc\n\t"
			 "syscall\n\t"
			 "setc 48+state_kept(%%rip)\n\t"
			 "movdqu %%xmm0, state_out(%%rip); movdqu %%xmm1, 16+state_out(%%rip)\n\t"
			 "movdqu %%xmm8, 32+state_out(%%rip); movdqu %%xmm15, 48+state_out(%%rip)\n\t"
			 "mov %%rbx, state_kept(%%rip); mov %%r8, 8+state_kept(%%rip); mov %%r9, 16+state_kept(%%rip)\n\t"
			 "mov %%r10, 24+state_kept(%%rip); mov %%r13, 32+state_kept(%%rip); mov %%r15, 40+state_kept(%%rip)\n\t"
			 "mov -8(%%rsp), %%rdx; mov %%rdx, 56+state_kept(%%rip)\n\t"
			 "mov -128(%%rsp), %%rdx; mov %%rdx, 64+state_kept(%%rip)"
			 :
			 : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
			 : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r13", "r15", "xmm0", "xmm1", "xmm8", "xmm15",
			   "memory", "cc");
	CHECK_EQ(count, 1);
	CHECK(!memcmp(in, out, 64), "vector registers");
	CHECK(kept[7] == 0x5a5a && kept[8] == 0x6b6b, "the 128 bytes below the stack pointer");
	CHECK(kept[0] == 101 && kept[1] == 102 && kept[2] == 103 && kept[3] == 104 && kept[4] == 105 && kept[5] == 106,
	      "general registers");
	CHECK_EQ(kept[6], 1);
	return tst_done();
}
