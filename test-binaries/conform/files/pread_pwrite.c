/* pread64(2) and pwrite64(2): at an offset, without moving the file's own; and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	char text[16];
	int fd, ends[2];

	(void)dir;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	MUST(write(fd, "abcdef", 6));
	MUST(lseek(fd, 1, SEEK_SET));
	CHECK_EQ(pread(fd, text, 3, 2), 3);
	CHECK(!memcmp(text, "cde", 3), "reads from the offset");
	CHECK_EQ(pwrite(fd, "XY", 2, 4), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1);
	CHECK_EQ(pread(fd, text, 16, 6), 0);
	CHECK_EQ(pread(fd, text, 16, 1L << 40), 0);
	CHECK_EQ(pwrite(fd, "Z", 1, 9), 1);
	CHECK_EQ(pread(fd, text, 16, 0), 10);
	CHECK(!memcmp(text, "abcdXY\0\0\0Z", 10), "all writes together");
	CHECK_ERR(pread(fd, text, 1, -1), EINVAL);
	CHECK_ERR(pwrite(fd, text, 1, -1), EINVAL);
	CHECK_ERR(pread(fd, TST_BAD, 1, 0), EFAULT);
	CHECK_ERR(pread(-1, text, 1, 0), EBADF);
	MUST(pipe(ends));
	CHECK_ERR(pread(ends[0], text, 1, 0), ESPIPE);
	CHECK_ERR(pwrite(ends[1], text, 1, 0), ESPIPE);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	MUST(close(fd));
	fd = MUST(open("file", O_RDWR | O_APPEND));
	CHECK_EQ(pwrite(fd, "!", 1, 0), 1);
	CHECK_EQ(pread(fd, text, 1, 10), 1);
	CHECK(text[0] == '!', "with O_APPEND pwrite appends whatever the offset, as Linux does");
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
