/* munmap(2): the middle of a mapping, several at once, holes; and its errors. */
#include "../tst.h"

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area = MUST(mmap(NULL, 8 * TST_PAGE, rw, anon, -1, 0));

	tst_catch_faults();
	memset(area, 'x', 8 * TST_PAGE);
	CHECK_EQ(munmap(area + 3 * TST_PAGE, 2 * TST_PAGE), 0);
	CHECK_EQ(TST_READ(area + 3 * TST_PAGE), SIGSEGV);
	CHECK_EQ(TST_READ(area + 5 * TST_PAGE - 1), SIGSEGV);
	CHECK(area[3 * TST_PAGE - 1] == 'x' && area[5 * TST_PAGE] == 'x', "both neighbours stay");
	CHECK_EQ(munmap(area + 3 * TST_PAGE, TST_PAGE), 0);
	CHECK_EQ(munmap(area + 7 * TST_PAGE, 1), 0);
	CHECK(TST_READ(area + 8 * TST_PAGE - 1) == SIGSEGV, "a length is rounded up to pages");
	CHECK_ERR(munmap(area + 1, TST_PAGE), EINVAL);
	CHECK_ERR(munmap(area, 0), EINVAL);
	CHECK_ERR(munmap((void *)0x7ffffffff000, 2 * TST_PAGE), EINVAL);
	CHECK_ERR(munmap(area, -TST_PAGE), EINVAL);
	CHECK_EQ(munmap(area, 8 * TST_PAGE), 0);
	CHECK_EQ(TST_READ(area), SIGSEGV);
	CHECK_EQ(munmap(area, 8 * TST_PAGE), 0);
	return tst_done();
}
