/* fallocate(2): size and space, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE; and its errors. */
#include "../tst.h"

#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#endif

static void check(const char *dir)
{
	char text[16];
	struct stat status;
	int fd, reader, ends[2];

	(void)dir;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	CHECK_EQ(fallocate(fd, 0, 0, 10000), 0);
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, 10000);
	CHECK(status.st_blocks * 512 >= 10000, "the space is taken");
	CHECK_EQ(pread(fd, text, 4, 9000), 4);
	CHECK(!memcmp(text, "\0\0\0\0", 4), "and is zero");
	CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 10000, 50000), 0);
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, 10000);
	MUST(pwrite(fd, "0123456789", 10, 4091));
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	CHECK_EQ(pread(fd, text, 10, 4091), 10);
	CHECK(!memcmp(text, "\0\0\0\0\0" "56789", 10), "a hole is zero up to its last byte");
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4097, 2), 0);
	CHECK_EQ(pread(fd, text, 5, 4096), 5);
	CHECK(!memcmp(text, "5\0\0" "89", 5), "also within a page");
	CHECK_EQ(posix_fallocate(fd, 0, 20000), 0);
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, 20000);

	MUST(fcntl(fd, F_SETFL, O_APPEND));
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 1), 0);
	reader = MUST(open("file", O_RDONLY));
	CHECK_ERR(fallocate(reader, 0, 0, 10), EBADF);
	CHECK_ERR(fallocate(fd, 0, -1, 10), EINVAL);
	CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERR(fallocate(fd, 0, 0, -1), EINVAL);
	CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	CHECK_ERR(fallocate(fd, 0, LONG_MAX, 10), EFBIG);
	MUST(pipe(ends));
	CHECK_ERR(fallocate(ends[1], 0, 0, 10), ESPIPE);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	MUST(close(reader));
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
