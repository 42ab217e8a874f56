/* Buffers of system calls in memory that is not there yet, copy-on-write, mapped from files, or forbidden. */
#include "../tst.h"

static int zero, file;

/* 4 pages of a file, mapped. */
static char *map_file(int protection, int flags)
{
	return MUST(mmap(NULL, 4 * TST_PAGE, protection, flags, file, 0));
}

static __attribute__((noinline)) long read_deep(int depth)
{
	char below[16384];

	if (depth)
		return read_deep(depth - 1) + (below[0] == 99 ? 1 : 0);
	return read(zero, below, sizeof(below));
}

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *fresh = MUST(mmap(NULL, 64 * TST_PAGE, rw, anon, -1, 0)), *private, *shared, *closed, text[16];
	int ends[2];

	zero = MUST(open("/dev/zero", O_RDONLY));
	tst_file(tst_path("access"), "");
	file = MUST(open(tst_path("access"), O_RDWR));
	MUST(unlink(tst_path("access")));
	for (int page = 0; page < 4; page++)
		MUST(pwrite(file, (char[]){ 'a' + page }, 1, page * TST_PAGE));
	MUST(ftruncate(file, 4 * TST_PAGE));

	CHECK_EQ(read(zero, fresh, 64 * TST_PAGE), 64 * TST_PAGE);
	CHECK_EQ(read_deep(100), 16384);
	private = map_file(rw, MAP_PRIVATE);
	CHECK_EQ(pread(file, private + TST_PAGE, 1, 0), 1);
	CHECK(private[TST_PAGE] == 'a' && private[2 * TST_PAGE] == 'c', "read into a private mapping");
	CHECK_EQ(pread(file, text, 1, TST_PAGE), 1);
	CHECK(text[0] == 'b', "leaves the file alone");
	shared = map_file(rw, MAP_SHARED);
	CHECK_EQ(pread(zero, shared + 3 * TST_PAGE, 1, 0), 1);
	CHECK_EQ(pread(file, text, 1, 3 * TST_PAGE), 1);
	CHECK(text[0] == 0, "read into a shared mapping reaches the file");

	/* The file is source and destination at once. */
	shared = map_file(rw, MAP_SHARED);
	CHECK_EQ(pwrite(file, shared, 2 * TST_PAGE, 2 * TST_PAGE), 2 * TST_PAGE);
	CHECK(shared[2 * TST_PAGE] == 'a' && shared[3 * TST_PAGE] == 'b', "a file written from its own mapping");
	CHECK_EQ(pread(file, shared + 2, TST_PAGE, TST_PAGE), TST_PAGE);
	CHECK(shared[2] == 'b', "and read into it");
	private = map_file(PROT_READ, MAP_PRIVATE);
	MUST(madvise(private, 4 * TST_PAGE, MADV_DONTNEED));
	MUST(pipe(ends));
	CHECK_EQ(write(ends[1], private, 4 * TST_PAGE), 4 * TST_PAGE);
	CHECK_EQ(read(ends[0], fresh, 5 * TST_PAGE), 4 * TST_PAGE);
	CHECK(fresh[0] == 'a' && fresh[2] == 'b' && fresh[2 * TST_PAGE] == 'a', "a mapping not yet touched as a source");

	CHECK_ERR(read(zero, private, 1), EFAULT);
	CHECK_ERR(pread(zero, (void *)(uintptr_t)"constant", 1, 0), EFAULT);
	closed = MUST(mmap(NULL, 2 * TST_PAGE, PROT_NONE, anon, -1, 0));
	CHECK_ERR(read(zero, closed, 1), EFAULT);
	CHECK_ERR(write(ends[1], closed, 1), EFAULT);
	CHECK_ERR(open(closed, O_RDONLY), EFAULT);
	CHECK_ERR(write(ends[1], (void *)0xffffffff81000000, 1), EFAULT);
	CHECK_ERR(write(ends[1], (void *)0x7ffffffffff0, 64), EFAULT);
	CHECK_ERR(write(ends[1], (void *)-64L, 1), EFAULT);
	MUST(mprotect(closed, TST_PAGE, rw));
	CHECK_EQ(read(zero, closed + TST_PAGE - 10, 100), 10);
	memset(closed, 'p', TST_PAGE);
	CHECK_ERR(open(closed + TST_PAGE - 5, O_RDONLY), EFAULT);
	strcpy(closed + TST_PAGE - 2, "/");
	CHECK_OK(open(closed + TST_PAGE - 2, O_RDONLY));

	/* A mapping whose file was cut short: no page to give, so EFAULT rather than a signal. */
	MUST(ftruncate(file, TST_PAGE));
	CHECK_ERR(write(ends[1], private + 2 * TST_PAGE, 1), EFAULT);
	return tst_done();
}
