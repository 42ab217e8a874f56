/* SIGFPE, SIGILL, SIGTRAP, SIGBUS: si_code and si_addr of each. */
#include "../tst.h"

#include <fenv.h>
#include <ucontext.h>

static volatile int trap_code;
static volatile unsigned long trap_rip, trap_number;

static void trapped(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)signal;
	trap_code = info->si_code;
	trap_rip = user->uc_mcontext.gregs[REG_RIP];
	trap_number = user->uc_mcontext.gregs[REG_TRAPNO];
	/* Single steps end. */
	user->uc_mcontext.gregs[REG_EFL] &= ~0x100;
}

/* QEMU's emulation of the processor has no SIMD floating-point exceptions. */
static int no_simd_exceptions(void)
{
	unsigned a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c & 1u << 31))
		return 0;
	a = 0x40000000;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return b == 0x54474354 && c == 0x43544743 && d == 0x47435447;
}

static void x87_division(void)
{
	const unsigned short control = 0x37f & ~4;

	__asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"(control));
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	unsigned long after = 0;
	volatile double zero = 0, one = 1, result;
	int fd;
	char *map;

	tst_catch_faults();
	CHECK_EQ(TST_FAULT(__asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; idiv %%ecx" ::
						    : "eax", "ecx", "edx")),
		 SIGFPE);
	CHECK_EQ(tst_fault_info.si_code, FPE_INTDIV);
	CHECK(tst_fault_info.si_addr != NULL, "it names the instruction");
	CHECK_EQ(TST_FAULT(__asm__ volatile("mov $-1, %%edx; mov $0, %%eax; mov $1, %%ecx; idiv %%ecx" ::
						    : "eax", "ecx", "edx")),
		 SIGFPE);
	CHECK_EQ(TST_FAULT(x87_division()), SIGFPE);
	CHECK_EQ(tst_fault_info.si_code, FPE_FLTDIV);
	__asm__ volatile("fninit");
	unsigned control = 0x1f80 & ~0x200;
	int signal = TST_FAULT(__asm__ volatile("ldmxcsr %0" ::"m"(control)); result = one / zero);
	CHECK(signal == SIGFPE || no_simd_exceptions(), "SIMD division by zero is SIGFPE where the processor says so");
	CHECK(tst_fault_info.si_code == FPE_FLTDIV, "and FPE_FLTDIV");
	control = 0x1f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(control));
	result = one / zero;
	CHECK(result > 1e308, "with exceptions masked a division by zero is infinity");

	CHECK_EQ(TST_FAULT(__asm__ volatile("ud2")), SIGILL);
	CHECK_EQ(tst_fault_info.si_code, ILL_ILLOPN);
	CHECK(tst_fault_info.si_addr != NULL, "it names the instruction");

	MUST(sigaction(SIGTRAP, &action, NULL));
	__asm__ volatile("int3; lea 0(%%rip), %0" : "=r"(after));
	CHECK_EQ(trap_code, SI_KERNEL);
	CHECK_EQ(trap_number, 3);
	CHECK(trap_rip < after && after - trap_rip <= 8, "int3 leaves RIP behind itself");
	trap_code = -1;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" ::: "cc", "memory");
	CHECK_EQ(trap_code, TRAP_TRACE);
	CHECK_EQ(trap_number, 1);

	tst_file(tst_path("bus"), "x");
	fd = MUST(open(tst_path("bus"), O_RDWR));
	MUST(unlink(tst_path("bus")));
	map = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	CHECK_EQ(TST_WRITE(map + TST_PAGE + 5), SIGBUS);
	CHECK_EQ(tst_fault_info.si_code, BUS_ADRERR);
	CHECK(tst_fault_info.si_addr == map + TST_PAGE + 5, "the address behind the file's end");
	return tst_done();
}
