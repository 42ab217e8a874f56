/* lseek(2): the three origins, SEEK_DATA and SEEK_HOLE, and its errors. */
#include "../tst.h"

static void check(const char *dir)
{
	int fd, other, ends[2];

	(void)dir;
	tst_file("file", "0123456789");
	fd = MUST(open("file", O_RDWR));
	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	CHECK_EQ(lseek(fd, 4, SEEK_CUR), 7);
	CHECK_EQ(lseek(fd, -7, SEEK_CUR), 0);
	CHECK_EQ(lseek(fd, -2, SEEK_END), 8);
	CHECK_EQ(lseek(fd, 1000, SEEK_END), 1010);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1010);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERR(lseek(fd, -2000, SEEK_CUR), EINVAL);
	CHECK_ERR(lseek(fd, -11, SEEK_END), EINVAL);
	CHECK_ERR(lseek(fd, 0, 99), EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1010);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 10);
	CHECK_ERR(lseek(fd, 10, SEEK_DATA), ENXIO);
	CHECK_ERR(lseek(fd, 11, SEEK_HOLE), ENXIO);
	CHECK_ERR(lseek(-1, 0, SEEK_SET), EBADF);

	other = MUST(dup(fd));
	MUST(lseek(other, 5, SEEK_SET));
	CHECK(lseek(fd, 0, SEEK_CUR) == 5, "duplicates share an offset");
	MUST(close(other));
	other = MUST(open("file", O_RDONLY));
	CHECK(lseek(other, 0, SEEK_CUR) == 0, "separate opens do not");
	MUST(close(other));
	MUST(close(fd));
	MUST(pipe(ends));
	CHECK_ERR(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
