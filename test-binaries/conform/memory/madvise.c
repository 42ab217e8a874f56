/* madvise(2): MADV_DONTNEED, the advice that changes nothing to see, and the errors. */
#include "../tst.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

int main(void)
{
	static const int harmless[] = { MADV_NORMAL,   MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
					MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP,   MADV_DODUMP };
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area = MUST(mmap(NULL, 8 * TST_PAGE, rw, anon, -1, 0));
	char *map;
	int fd;

	tst_catch_faults();
	memset(area, 'x', 8 * TST_PAGE);
	CHECK_EQ(madvise(area + TST_PAGE, 2 * TST_PAGE, MADV_DONTNEED), 0);
	CHECK(area[TST_PAGE] == 0 && area[3 * TST_PAGE - 1] == 0, "MADV_DONTNEED makes private memory zero again");
	CHECK(area[TST_PAGE - 1] == 'x' && area[3 * TST_PAGE] == 'x', "not its neighbours");

	tst_file(tst_path("madvise"), "original");
	fd = MUST(open(tst_path("madvise"), O_RDWR));
	MUST(unlink(tst_path("madvise")));
	map = MUST(mmap(NULL, TST_PAGE, rw, MAP_PRIVATE, fd, 0));
	memcpy(map, "changed!", 8);
	CHECK_EQ(madvise(map, TST_PAGE, MADV_DONTNEED), 0);
	CHECK(!memcmp(map, "original", 8), "a private page of a file shows the file again");

	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		CHECK(madvise(area, 8 * TST_PAGE, harmless[i]) == 0, "advice %d is accepted", harmless[i]);
	CHECK(area[0] == 'x' && area[8 * TST_PAGE - 1] == 'x', "and contents stay");
	CHECK_EQ(madvise(area, TST_PAGE, MADV_FREE), 0);
	CHECK(area[0] == 'x' || area[0] == 0, "after MADV_FREE a page is as before or zero");
	area[0] = 'y';
	CHECK_EQ(area[0], 'y');
	CHECK_EQ(madvise(area, 4 * TST_PAGE, MADV_POPULATE_READ), 0);
	CHECK_EQ(madvise(area, 4 * TST_PAGE, MADV_POPULATE_WRITE), 0);

	CHECK_ERR(madvise(area, TST_PAGE, 12345), EINVAL);
	CHECK_ERR(madvise(area + 1, TST_PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERR(madvise(area, -TST_PAGE, MADV_DONTNEED), EINVAL);
	CHECK_EQ(madvise(area, 0, MADV_DONTNEED), 0);
	CHECK_EQ(madvise(area + TST_PAGE, 1, MADV_DONTNEED), 0);
	MUST(munmap(area + 4 * TST_PAGE, TST_PAGE));
	CHECK_ERR(madvise(area, 8 * TST_PAGE, MADV_DONTNEED), ENOMEM);
	CHECK(area[7 * TST_PAGE] == 0, "what is mapped behind a hole is done nevertheless");
	map = MUST(mmap(NULL, TST_PAGE, rw, MAP_SHARED, fd, 0));
	CHECK_ERR(madvise(map, TST_PAGE, MADV_FREE), EINVAL);
	return tst_done();
}
