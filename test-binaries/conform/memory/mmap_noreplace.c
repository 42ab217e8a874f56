/* mmap(2) with MAP_FIXED_NOREPLACE: EEXIST where something is mapped, the exact address where nothing is. */
#include "../tst.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

int main(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area = MUST(mmap(NULL, 8 * TST_PAGE, PROT_READ | PROT_WRITE, flags, -1, 0));
	char *inside;

	area[2 * TST_PAGE] = 'x';
	CHECK_ERR(mmap(area + 2 * TST_PAGE, TST_PAGE, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK(area[2 * TST_PAGE] == 'x', "what was there stays");
	MUST(munmap(area + 2 * TST_PAGE, 2 * TST_PAGE));
	CHECK_ERR(mmap(area + 2 * TST_PAGE, 3 * TST_PAGE, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	inside = MUST(mmap(area + 2 * TST_PAGE, 2 * TST_PAGE, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0));
	CHECK(inside == area + 2 * TST_PAGE, "a free range is given as asked for");
	CHECK_EQ(inside[0], 0);
	CHECK_ERR(mmap(area + 1, TST_PAGE, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0), EINVAL);
	return tst_done();
}
