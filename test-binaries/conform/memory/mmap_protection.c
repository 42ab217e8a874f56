/* What PROT_NONE, PROT_READ and PROT_EXEC allow, by the signals that the rest gives. */
#include "../tst.h"

/* mov $42, %eax; ret */
static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };

typedef int function(void);

int main(void)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area = MUST(mmap(NULL, 2 * TST_PAGE, PROT_NONE, anon, -1, 0));
	function *volatile call = (function *)area;

	tst_catch_faults();
	CHECK_EQ(TST_READ(area), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ(TST_WRITE(area), SIGSEGV);

	MUST(mprotect(area, TST_PAGE, PROT_READ | PROT_WRITE));
	memcpy(area, code, sizeof(code));
	CHECK_EQ(TST_FAULT(call()), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK(tst_fault_info.si_addr == area, "si_addr is the address of the instruction");

	CHECK_EQ(mprotect(area, TST_PAGE, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(call(), 42);
	CHECK_EQ(TST_WRITE(area), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ(TST_READ(area + TST_PAGE), SIGSEGV);

	area = MUST(mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, anon, -1, 0));
	memcpy(area, code, sizeof(code));
	call = (function *)area;
	CHECK_EQ(call(), 42);
	area[1] = 43;
	CHECK(call() == 43, "code changed in a writable and executable page");

	area = MUST(mmap(NULL, TST_PAGE, PROT_WRITE, anon, -1, 0));
	CHECK(TST_READ(area) == 0 && TST_WRITE(area) == 0, "PROT_WRITE implies reading on x86-64");
	return tst_done();
}
