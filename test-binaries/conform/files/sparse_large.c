/* A file with pieces far apart and of 3 MiB: everything reads back, also through a second descriptor. */
#include "../tst.h"

enum { SIZE = 3 << 20 };

static void check(const char *dir)
{
	char *data = malloc(SIZE), *back = malloc(SIZE);
	struct stat status;
	int fd, again;

	(void)dir;
	for (int i = 0; i < SIZE; i++)
		data[i] = (i * 2654435761u) >> 13;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	CHECK_EQ(pwrite(fd, data, SIZE, 1234567), SIZE);
	CHECK_EQ(pwrite(fd, "tail", 4, 1L << 31), 4);
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, (1L << 31) + 4);
	CHECK(status.st_blocks * 512L >= SIZE && status.st_blocks * 512L < 2L * SIZE, "only what was written takes space");
	again = MUST(open("file", O_RDONLY));
	CHECK_EQ(pread(again, back, SIZE, 1234567), SIZE);
	CHECK(!memcmp(data, back, SIZE), "3 MiB at an odd offset");
	CHECK_EQ(pread(again, back, 100, 1234567 - 100), 100);
	CHECK(back[0] == 0 && back[99] == 0, "zeros before");
	CHECK_EQ(pread(again, back, 100, 1L << 31), 4);
	CHECK(!memcmp(back, "tail", 4), "the piece at 2 GiB");
	CHECK_EQ(pwrite(fd, "x", 1, 2000000), 1);
	CHECK_EQ(pread(again, back, 3, 1999999), 3);
	CHECK(back[0] == data[1999999 - 1234567] && back[1] == 'x' && back[2] == data[2000001 - 1234567],
	      "one byte changed in the middle");
	MUST(close(fd));
	MUST(close(again));
	free(data);
	free(back);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
