/* msync(2) and mincore(2): flags, holes, and what is resident. */
#include "../tst.h"

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area = MUST(mmap(NULL, 8 * TST_PAGE, rw, anon, -1, 0));
	unsigned char present[8];

	CHECK_EQ(msync(area, 8 * TST_PAGE, MS_SYNC), 0);
	CHECK_EQ(msync(area, 8 * TST_PAGE, MS_ASYNC), 0);
	CHECK_EQ(msync(area, 8 * TST_PAGE, MS_ASYNC | MS_INVALIDATE), 0);
	CHECK_EQ(msync(area, 0, MS_SYNC), 0);
	CHECK_ERR(msync(area, TST_PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERR(msync(area, TST_PAGE, 0x100), EINVAL);
	CHECK_ERR(msync(area + 1, TST_PAGE, MS_SYNC), EINVAL);

	area[0] = 1;
	area[5 * TST_PAGE] = 1;
	memset(present, 0xff, sizeof(present));
	CHECK_EQ(mincore(area, 8 * TST_PAGE, present), 0);
	CHECK((present[0] & 1) && (present[5] & 1), "touched pages are resident");
	CHECK(!(present[1] & 1) && !(present[7] & 1), "untouched ones are not");
	MUST(madvise(area, TST_PAGE, MADV_DONTNEED));
	CHECK_EQ(mincore(area, TST_PAGE, present), 0);
	CHECK(!(present[0] & 1), "nor one after MADV_DONTNEED");
	CHECK_ERR(mincore(area + 1, TST_PAGE, present), EINVAL);
	CHECK_ERR(mincore(area, TST_PAGE, TST_BAD), EFAULT);
	MUST(munmap(area + 4 * TST_PAGE, TST_PAGE));
	CHECK_ERR(mincore(area, 8 * TST_PAGE, present), ENOMEM);
	CHECK_ERR(msync(area, 8 * TST_PAGE, MS_SYNC), ENOMEM);
	return tst_done();
}
