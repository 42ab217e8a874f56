/* mremap(2): in place, moving, shrinking, MREMAP_FIXED, MREMAP_DONTUNMAP, files; and its errors. */
#include "../tst.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;

/* An area of `pages` pages with `free` unmapped pages behind it and one mapped page behind those. */
static char *with_room(size_t pages, size_t free)
{
	char *area = MUST(mmap(NULL, (pages + free + 1) * TST_PAGE, rw, anon, -1, 0));

	MUST(munmap(area + pages * TST_PAGE, free * TST_PAGE));
	for (size_t i = 0; i < pages; i++)
		area[i * TST_PAGE] = 'a' + i;
	return area;
}

int main(void)
{
	char *area = with_room(2, 2), *moved, *target;
	int fd;

	tst_catch_faults();
	CHECK(mremap(area, 2 * TST_PAGE, 4 * TST_PAGE, 0) == area, "grows in place where there is room");
	CHECK(area[0] == 'a' && area[TST_PAGE] == 'b' && area[3 * TST_PAGE] == 0, "contents stay, new pages are zero");
	CHECK_ERR(mremap(area, 4 * TST_PAGE, 6 * TST_PAGE, 0), ENOMEM);
	moved = MUST(mremap(area, 4 * TST_PAGE, 64 * TST_PAGE, MREMAP_MAYMOVE));
	CHECK(moved != area && moved[0] == 'a' && moved[TST_PAGE] == 'b', "moves with its contents");
	CHECK_EQ(moved[63 * TST_PAGE], 0);
	CHECK_EQ(TST_READ(area), SIGSEGV);
	CHECK(mremap(moved, 64 * TST_PAGE, TST_PAGE, 0) == moved, "shrinks in place");
	CHECK_EQ(TST_READ(moved + TST_PAGE), SIGSEGV);
	CHECK_EQ(moved[0], 'a');

	area = with_room(3, 1);
	target = with_room(4, 1);
	CHECK(mremap(area, 3 * TST_PAGE, 3 * TST_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target, "MREMAP_FIXED");
	CHECK(target[2 * TST_PAGE] == 'c' && target[3 * TST_PAGE] == 'd', "it replaces just what it covers");
	CHECK_EQ(TST_READ(area), SIGSEGV);

	area = with_room(4, 1);
	moved = MUST(mremap(area + TST_PAGE, TST_PAGE, 2 * TST_PAGE, MREMAP_MAYMOVE));
	CHECK(moved[0] == 'b' && area[0] == 'a' && area[2 * TST_PAGE] == 'c', "one page out of the middle");
	CHECK_EQ(TST_READ(area + TST_PAGE), SIGSEGV);

	area = with_room(2, 1);
	moved = (char *)MUST(syscall(SYS_mremap, area, 2 * TST_PAGE, 2 * TST_PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
	CHECK(moved != area && moved[TST_PAGE] == 'b', "MREMAP_DONTUNMAP moves the pages");
	CHECK(area[TST_PAGE] == 0, "and leaves empty ones");

	tst_file(tst_path("mremap"), "file");
	fd = MUST(open(tst_path("mremap"), O_RDWR));
	MUST(unlink(tst_path("mremap")));
	MUST(ftruncate(fd, 4 * TST_PAGE));
	MUST(pwrite(fd, "third", 5, 2 * TST_PAGE));
	area = MUST(mmap(NULL, TST_PAGE, PROT_READ, MAP_SHARED, fd, 0));
	moved = MUST(mremap(area, TST_PAGE, 4 * TST_PAGE, MREMAP_MAYMOVE));
	CHECK(!memcmp(moved, "file", 4) && !memcmp(moved + 2 * TST_PAGE, "third", 5), "a file mapping shows more of the file");

	area = with_room(4, 1);
	CHECK_ERR(mremap(area + 1, TST_PAGE, TST_PAGE, 0), EINVAL);
	CHECK_ERR(mremap(area, TST_PAGE, 0, 0), EINVAL);
	CHECK_ERR(mremap(area, TST_PAGE, TST_PAGE, 8), EINVAL);
	CHECK_ERR(mremap(area, TST_PAGE, TST_PAGE, MREMAP_FIXED, area + 2 * TST_PAGE), EINVAL);
	CHECK_ERR(mremap(area, 2 * TST_PAGE, 2 * TST_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + TST_PAGE), EINVAL);
	CHECK_ERR(mremap(area, TST_PAGE, TST_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + 1), EINVAL);
	CHECK_ERR(syscall(SYS_mremap, area, TST_PAGE, 2 * TST_PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), EINVAL);
	CHECK_ERR(mremap(area, 0, TST_PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERR(mremap(area + 4 * TST_PAGE, TST_PAGE, 2 * TST_PAGE, MREMAP_MAYMOVE), EFAULT);
	return tst_done();
}
