/* brk(2): grows, shrinks, gives zeroed pages, keeps what is below, and answers the old end when it cannot. */
#include "../tst.h"

static char *set(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

int main(void)
{
	char *start = set(NULL);
	char *page = (char *)(((uintptr_t)start + TST_PAGE - 1) & -TST_PAGE);

	tst_catch_faults();
	CHECK(set(page + 4 * TST_PAGE) == page + 4 * TST_PAGE, "grows by four pages");
	CHECK(page[0] == 0 && page[4 * TST_PAGE - 1] == 0, "new memory is zero");
	memset(page, 'x', 4 * TST_PAGE);
	CHECK(set(page + TST_PAGE + 10) == page + TST_PAGE + 10, "shrinks to any byte");
	CHECK_EQ(TST_READ(page + 2 * TST_PAGE), SIGSEGV);
	CHECK(page[TST_PAGE + 11] == 'x', "the rest of the last page stays");
	CHECK(set(page + 3 * TST_PAGE) == page + 3 * TST_PAGE, "grows again");
	CHECK(page[2 * TST_PAGE] == 0, "memory given back is zero when it returns");
	CHECK(page[0] == 'x', "what stayed below is untouched");
	CHECK(set((char *)TST_PAGE) == page + 3 * TST_PAGE, "below the start is refused");
	CHECK(set((char *)-TST_PAGE) == page + 3 * TST_PAGE, "beyond the address space is refused");

	char *wall = MUST(mmap(page + 16 * TST_PAGE, TST_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	CHECK(set(wall + TST_PAGE) == page + 3 * TST_PAGE, "a mapping in the way is not overrun");
	MUST(munmap(wall, TST_PAGE));
	CHECK(set(start) == start, "back to where it started");
	CHECK(sbrk(0) == start, "sbrk(0) agrees");
	return tst_done();
}
