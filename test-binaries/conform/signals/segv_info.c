/* SIGSEGV: si_code and si_addr for unmapped, protected, kernel and non-canonical addresses, and for instruction fetches. */
#include "../tst.h"

int main(void)
{
	char *area = MUST(mmap(NULL, TST_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	void (*volatile nowhere)(void) = (void (*)(void))0x1000;
	char *volatile null = NULL;
	char *volatile kernel = (char *)0xffffffff81000000;
	char *volatile odd = (char *)0x8000000000000000;

	tst_catch_faults();
	CHECK_EQ(TST_READ(null), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_signo, SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_MAPERR);
	CHECK(tst_fault_info.si_addr == NULL, "the address is null");
	CHECK_EQ(TST_WRITE(null + 8), SIGSEGV);
	CHECK(tst_fault_info.si_addr == (void *)8, "the address is exact");
	CHECK_EQ(TST_WRITE(area + 100), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK(tst_fault_info.si_addr == area + 100, "the address of a forbidden write");
	CHECK_EQ(TST_READ(kernel), SIGSEGV);
	CHECK(tst_fault_info.si_addr == kernel, "an address of the kernel's half");
	CHECK_EQ(tst_fault_info.si_code, SEGV_MAPERR);
	CHECK_EQ(TST_READ(odd), SIGSEGV);
	CHECK(tst_fault_info.si_code == SI_KERNEL && tst_fault_info.si_addr == NULL, "a non-canonical address is not told");
	CHECK_EQ(TST_FAULT(nowhere()), SIGSEGV);
	CHECK(tst_fault_info.si_code == SEGV_MAPERR && tst_fault_info.si_addr == (void *)0x1000, "a jump to nowhere");
	CHECK_EQ(TST_FAULT(__asm__ volatile("hlt")), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SI_KERNEL);
	CHECK_EQ(TST_FAULT(__asm__ volatile("cli")), SIGSEGV);
	CHECK_EQ(TST_FAULT(__asm__ volatile("mov %%cr0, %%rax" ::: "rax")), SIGSEGV);
	CHECK_EQ(TST_FAULT(__asm__ volatile("inb $0x80, %%al" ::: "rax")), SIGSEGV);
	return tst_done();
}
