/* mlock(2), munlock(2), mlock2(2), mlockall(2): what they make resident, and their errors. */
#include "../tst.h"

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area = MUST(mmap(NULL, 4 * TST_PAGE, rw, anon, -1, 0));
	unsigned char present[4] = { 0 };

	CHECK_EQ(mlock(area + 1, 2 * TST_PAGE), 0);
	MUST(mincore(area, 4 * TST_PAGE, present));
	CHECK((present[0] & 1) && (present[1] & 1) && (present[2] & 1), "mlock makes every page it touches resident");
	CHECK(!(present[3] & 1), "and no more");
	CHECK_ERR(madvise(area, TST_PAGE, MADV_DONTNEED), EINVAL);
	CHECK_EQ(munlock(area, 4 * TST_PAGE), 0);
	CHECK_EQ(madvise(area, TST_PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(mlock(area, 0), 0);
	CHECK_EQ(syscall(SYS_mlock2, area, TST_PAGE, 0), 0);
	CHECK_ERR(syscall(SYS_mlock2, area, TST_PAGE, 2), EINVAL);
	MUST(munmap(area + TST_PAGE, TST_PAGE));
	CHECK_ERR(mlock(area, 4 * TST_PAGE), ENOMEM);
	CHECK_ERR(munlock(area, 4 * TST_PAGE), ENOMEM);
	CHECK_ERR(mlockall(0), EINVAL);
	CHECK_ERR(mlockall(~0), EINVAL);
	CHECK_EQ(mlockall(MCL_FUTURE), 0);
	area = MUST(mmap(NULL, TST_PAGE, rw, anon, -1, 0));
	MUST(mincore(area, TST_PAGE, present));
	CHECK(present[0] & 1, "after MCL_FUTURE new memory is resident at once");
	CHECK_EQ(munlockall(), 0);
	return tst_done();
}
