/* A file mapped and then changed: grown, written by write(2), cut and grown again; what is written behind its end in its last page. */
#include "../tst.h"

static void check(const char *dir)
{
	const int rw = PROT_READ | PROT_WRITE;
	char *shared, *private, text[8] = { 0 };
	struct stat status;
	int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));

	(void)dir;
	MUST(pwrite(fd, "start", 5, 0));
	shared = MUST(mmap(NULL, 4 * TST_PAGE, rw, MAP_SHARED, fd, 0));
	private = MUST(mmap(NULL, 4 * TST_PAGE, rw, MAP_PRIVATE, fd, 0));
	CHECK_EQ(TST_READ(shared + TST_PAGE), SIGBUS);
	CHECK_EQ(TST_WRITE(private + TST_PAGE), SIGBUS);
	CHECK(shared[5] == 0 && shared[TST_PAGE - 1] == 0, "zeros behind the end of the file");
	shared[10] = 'x';
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, 5);
	CHECK_EQ(pread(fd, text, 8, 0), 5);

	MUST(ftruncate(fd, 2 * TST_PAGE + 100));
	CHECK_EQ(TST_READ(shared + 2 * TST_PAGE), 0);
	CHECK_EQ(TST_READ(shared + 3 * TST_PAGE), SIGBUS);
	CHECK_EQ(TST_READ(private + 2 * TST_PAGE), 0);
	MUST(pwrite(fd, "middle", 6, TST_PAGE));
	CHECK(!memcmp(shared + TST_PAGE, "middle", 6), "write(2) shows in a shared mapping");
	CHECK(!memcmp(private + TST_PAGE, "middle", 6), "and in a private one not yet written");
	private[TST_PAGE] = 'P';
	MUST(pwrite(fd, "MIDDLE", 6, TST_PAGE));
	CHECK(!memcmp(private + TST_PAGE, "Piddle", 6), "which keeps its page once written");
	CHECK(!memcmp(shared + TST_PAGE, "MIDDLE", 6), "while the shared one changes");
	memcpy(shared + 2 * TST_PAGE + 98, "end!", 4);
	CHECK_EQ(pread(fd, text, 8, 2 * TST_PAGE + 98), 2);

	/* Cutting takes private copies behind the new end, too. */
	MUST(ftruncate(fd, TST_PAGE - 6));
	CHECK_EQ(TST_READ(private + TST_PAGE), SIGBUS);
	CHECK_EQ(TST_READ(shared + TST_PAGE), SIGBUS);
	CHECK_EQ(TST_READ(shared), 0);
	CHECK_ERR(pwrite(fd, shared + TST_PAGE, 1, 0), EFAULT);
	MUST(ftruncate(fd, 3 * TST_PAGE));
	CHECK(private[TST_PAGE] == 0 && shared[2 * TST_PAGE + 98] == 0, "what was cut off comes back as zeros");
	CHECK_EQ(pread(fd, text, 1, 2 * TST_PAGE + 98), 1);
	CHECK_EQ(text[0], 0);

	/* A descriptor is not needed any more, nor a name. */
	MUST(close(fd));
	MUST(unlink("file"));
	shared[7] = '7';
	CHECK(shared[7] == '7' && !memcmp(shared, "start", 5), "a mapping outlives descriptor and name");
	fd = MUST(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	MUST(ftruncate(fd, TST_PAGE));
	CHECK_EQ(pread(fd, text, 1, 7), 1);
	CHECK_EQ(text[0], 0);
	CHECK(mmap(shared, TST_PAGE, rw, MAP_SHARED | MAP_FIXED, fd, 0) == shared && shared[0] == 0, "another file in its place");
	CHECK_EQ(TST_READ(shared + TST_PAGE), 0);
	MUST(munmap(shared, 4 * TST_PAGE));
	MUST(munmap(private, 4 * TST_PAGE));
	MUST(close(fd));
}

int main(void)
{
	tst_catch_faults();
	tst_in_dirs(check);
	return tst_done();
}
