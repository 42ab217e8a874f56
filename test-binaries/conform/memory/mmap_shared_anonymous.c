/* MAP_SHARED|MAP_ANONYMOUS, MAP_SHARED_VALIDATE, MAP_32BIT, MAP_STACK and MAP_GROWSDOWN within one process. */
#include "../tst.h"

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	char *area = MUST(mmap(NULL, 4 * TST_PAGE, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	char *low, *alias;

	CHECK_EQ(area[4 * TST_PAGE - 1], 0);
	area[0] = 'a';
	MUST(mprotect(area, TST_PAGE, PROT_READ));
	MUST(mprotect(area, TST_PAGE, rw));
	CHECK_EQ(area[0], 'a');
	alias = MUST(mremap(area, 0, 4 * TST_PAGE, MREMAP_MAYMOVE));
	alias[1] = 'b';
	CHECK(area[1] == 'b', "mremap of length 0 gives a second view of shared memory");
	CHECK_EQ(madvise(area, TST_PAGE, MADV_DONTNEED), 0);
	CHECK(area[0] == 'a', "MADV_DONTNEED does not lose shared memory");
	MUST(munmap(area, 4 * TST_PAGE));
	CHECK_EQ(alias[0], 'a');

	low = MUST(mmap(NULL, TST_PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	CHECK((uintptr_t)low + TST_PAGE <= 1UL << 31, "MAP_32BIT gives an address below 2 GiB");
	CHECK_OK(mmap(NULL, TST_PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
	CHECK_OK(mmap(NULL, TST_PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
	CHECK_ERR(mmap(NULL, TST_PAGE, rw, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	tst_file(tst_path("sync"), "x");
	int fd = MUST(open(tst_path("sync"), O_RDWR));
	MUST(unlink(tst_path("sync")));
	CHECK_ERR(mmap(NULL, TST_PAGE, rw, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
	CHECK_OK(mmap(NULL, TST_PAGE, rw, MAP_SHARED_VALIDATE, fd, 0));
	return tst_done();
}
