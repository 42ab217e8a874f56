/* mprotect(2): part of a mapping, across mappings, up to a hole (ENOMEM); contents stay; and its errors. */
#include "../tst.h"

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area = MUST(mmap(NULL, 8 * TST_PAGE, rw, anon, -1, 0));

	tst_catch_faults();
	memset(area, 'x', 8 * TST_PAGE);
	CHECK_EQ(mprotect(area + 2 * TST_PAGE, 2 * TST_PAGE, PROT_READ), 0);
	CHECK_EQ(TST_WRITE(area + 2 * TST_PAGE), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ(TST_WRITE(area + 2 * TST_PAGE - 1), 0);
	CHECK_EQ(TST_WRITE(area + 4 * TST_PAGE), 0);
	CHECK_EQ(area[3 * TST_PAGE], 'x');
	CHECK_EQ(mprotect(area, 8 * TST_PAGE, PROT_NONE), 0);
	CHECK_EQ(TST_READ(area + 7 * TST_PAGE), SIGSEGV);
	CHECK_EQ(mprotect(area, 8 * TST_PAGE, rw), 0);
	CHECK_EQ(area[3 * TST_PAGE], 'x');

	MUST(munmap(area + 5 * TST_PAGE, TST_PAGE));
	CHECK_ERR(mprotect(area, 8 * TST_PAGE, PROT_READ), ENOMEM);
	CHECK(TST_WRITE(area) == SIGSEGV, "the pages before the hole have changed");
	CHECK(TST_WRITE(area + 6 * TST_PAGE) == 0, "those behind it have not");
	CHECK_ERR(mprotect(area + 5 * TST_PAGE, TST_PAGE, PROT_READ), ENOMEM);
	CHECK_ERR(syscall(SYS_mprotect, area + 1, TST_PAGE, PROT_READ), EINVAL);
	CHECK_ERR(mprotect(area, TST_PAGE, 0x1000), EINVAL);
	CHECK_ERR(mprotect(area, TST_PAGE, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN), EINVAL);
	CHECK_ERR(mprotect(area, TST_PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
	CHECK_EQ(mprotect(area, 0, PROT_READ), 0);
	CHECK_EQ(mprotect(area, 1, rw), 0);
	CHECK_EQ(TST_WRITE(area + TST_PAGE - 1), 0);
	return tst_done();
}
