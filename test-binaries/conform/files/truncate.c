/* truncate(2) and ftruncate(2): shorter, longer with zeros, times; and their errors. */
#include "../tst.h"

#include <sys/resource.h>

static void check(const char *dir)
{
	char text[16];
	struct stat status;
	int fd, reader, ends[2];

	(void)dir;
	tst_file("file", "0123456789");
	fd = MUST(open("file", O_RDWR));
	CHECK_EQ(ftruncate(fd, 4), 0);
	CHECK_EQ(read(fd, text, 16), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
	CHECK_EQ(ftruncate(fd, 8), 0);
	CHECK_EQ(pread(fd, text, 16, 0), 8);
	CHECK(!memcmp(text, "0123\0\0\0\0", 8), "what was cut off is zero when the file grows");
	CHECK_EQ(truncate("file", 1L << 32), 0);
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, 1L << 32);
	CHECK(status.st_blocks * 512 < 1 << 20, "growing takes no space");
	CHECK_EQ(pread(fd, text, 16, (1L << 32) - 3), 3);
	CHECK(!memcmp(text, "\0\0\0", 3), "a hole reads as zeros");
	CHECK_EQ(truncate("file", 0), 0);
	CHECK_EQ(pread(fd, text, 16, 0), 0);

	MUST(mkdir("folder", 0755));
	reader = MUST(open("file", O_RDONLY));
	CHECK_ERR(ftruncate(reader, 0), EINVAL);
	CHECK_ERR(ftruncate(fd, -1), EINVAL);
	CHECK_ERR(truncate("file", -1), EINVAL);
	CHECK_ERR(truncate("folder", 0), EISDIR);
	CHECK_ERR(truncate("missing", 0), ENOENT);
	CHECK_ERR(truncate("file/x", 0), ENOTDIR);
	CHECK_ERR(truncate(TST_BAD, 0), EFAULT);
	CHECK_ERR(ftruncate(-1, 0), EBADF);
	MUST(pipe(ends));
	CHECK_ERR(ftruncate(ends[1], 0), EINVAL);
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
