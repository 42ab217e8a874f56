/* read(2) and write(2) on files: counts, ends, offsets, holes, bad buffers and descriptors. */
#include "../tst.h"

static void check(const char *dir)
{
	char text[64], *edge;
	int fd, reader, writer, folder;

	(void)dir;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(read(fd, text, 10), 0);
	MUST(lseek(fd, 4, SEEK_SET));
	CHECK_EQ(read(fd, text, sizeof(text)), 6);
	CHECK(!memcmp(text, "456789", 6), "what was written from there");
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	CHECK_EQ(write(fd, text, 0), 0);
	CHECK_EQ(read(fd, text, 0), 0);
	MUST(lseek(fd, 20, SEEK_SET));
	CHECK_EQ(read(fd, text, 5), 0);
	CHECK_EQ(write(fd, "end", 3), 3);
	CHECK_EQ(pread(fd, text, sizeof(text), 8), 15);
	CHECK(!memcmp(text, "89\0\0\0\0\0\0\0\0\0\0end", 15), "the gap is zero");

	reader = MUST(open("file", O_RDONLY));
	writer = MUST(open("file", O_WRONLY));
	folder = MUST(open(".", O_RDONLY));
	CHECK_ERR(write(reader, "x", 1), EBADF);
	CHECK_ERR(read(writer, text, 1), EBADF);
	CHECK_ERR(read(folder, text, 1), EISDIR);
	CHECK_ERR(read(-1, text, 1), EBADF);
	CHECK_ERR(write(999, text, 1), EBADF);
	CHECK_ERR(read(reader, TST_BAD, 1), EFAULT);
	CHECK_ERR(write(writer, TST_BAD, 1), EFAULT);
	CHECK_EQ(lseek(reader, 0, SEEK_CUR), 0);
	CHECK_ERR(read(reader, text, TST_MINUS), EFAULT);

	/* A buffer of which the second page is missing: as much as fits, then EFAULT. */
	edge = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MUST(munmap(edge + TST_PAGE, TST_PAGE));
	CHECK_EQ(read(reader, edge + TST_PAGE - 4, 10), 4);
	CHECK(!memcmp(edge + TST_PAGE - 4, "0123", 4), "the part of a buffer that is there is filled");
	CHECK_EQ(lseek(reader, 0, SEEK_CUR), 4);
	MUST(lseek(writer, 0, SEEK_END));
	CHECK_EQ(write(writer, edge + TST_PAGE - 4, 10), 4);
	CHECK_ERR(write(writer, edge + TST_PAGE, 10), EFAULT);
	MUST(close(fd));
	MUST(close(reader));
	MUST(close(writer));
	MUST(close(folder));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
