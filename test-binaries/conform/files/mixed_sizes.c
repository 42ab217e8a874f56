/* 5 MiB written and read in pieces of every awkward size, through read, pread, readv and a mapping: the same bytes. */
#include "../tst.h"

#include <sys/uio.h>

enum { SIZE = 5 << 20 };

static unsigned char expected[SIZE], got[SIZE];

static void check(const char *dir)
{
	static const size_t sizes[] = { 1, 13, 511, 4095, 4096, 4097, 65536, 1000003 };
	size_t at = 0, step;
	unsigned char *map;
	int fd, turn = 0;

	(void)dir;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	for (int i = 0; i < SIZE; i++)
		expected[i] = (i * 2246822519u) >> 11;
	while (at < SIZE) {
		step = sizes[turn++ % 8];
		if (step > SIZE - at)
			step = SIZE - at;
		if (write(fd, expected + at, step) != (ssize_t)step)
			tst_brk("a write fails: %s", tst_errno(errno));
		at += step;
	}
	MUST(lseek(fd, 0, SEEK_SET));
	for (at = 0, turn = 3; at < SIZE; at += step) {
		step = MUST(read(fd, got + at, sizes[turn++ % 8]));
		if (!step)
			break;
	}
	CHECK(at == SIZE && !memcmp(expected, got, SIZE), "read in pieces");
	memset(got, 0, SIZE);
	for (long back = SIZE; back > 0; back -= 12345) {
		long start = back < 12345 ? 0 : back - 12345;

		MUST(pread(fd, got + start, back - start, start));
	}
	CHECK(!memcmp(expected, got, SIZE), "pread from the end to the start");
	memset(got, 0, SIZE);
	struct iovec parts[3] = { { got, 1 << 20 }, { got + (1 << 20), 3 }, { got + (1 << 20) + 3, SIZE } };
	parts[2].iov_len = SIZE - (1 << 20) - 3;
	CHECK_EQ(preadv(fd, parts, 3, 0), SIZE);
	CHECK(!memcmp(expected, got, SIZE), "preadv");
	map = MUST(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0));
	CHECK(!memcmp(expected, map, SIZE), "mmap");
	MUST(munmap(map, SIZE));
	for (int i = 0; i < 200; i++) {
		size_t where = (i * 2654435761u) % (SIZE - 5000);

		memset(expected + where, i, 5000);
		MUST(pwrite(fd, expected + where, 5000, where));
	}
	MUST(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(read(fd, got, SIZE), SIZE);
	CHECK(!memcmp(expected, got, SIZE), "after 200 writes at random places");
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
