/* mmap(2) of a file, MAP_SHARED: writes reach the file and other mappings, truncation takes pages away, access modes. */
#include "../tst.h"

static void check(const char *dir)
{
	char *one, *two, byte;
	int fd, reader, writer, folder, ends[2];

	(void)dir;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	MUST(ftruncate(fd, 2 * TST_PAGE));
	one = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	two = MUST(mmap(NULL, TST_PAGE, PROT_READ, MAP_SHARED, fd, TST_PAGE));
	one[TST_PAGE + 7] = 'm';
	CHECK(two[7] == 'm', "another mapping shows the write");
	CHECK_EQ(pread(fd, &byte, 1, TST_PAGE + 7), 1);
	CHECK_EQ(byte, 'm');
	MUST(pwrite(fd, "w", 1, TST_PAGE + 9));
	CHECK(one[TST_PAGE + 9] == 'w' && two[9] == 'w', "write(2) shows in both mappings");
	CHECK_EQ(msync(one, 2 * TST_PAGE, MS_SYNC), 0);

	MUST(ftruncate(fd, 10));
	CHECK_EQ(TST_READ(one + TST_PAGE), SIGBUS);
	one[9] = 'k';
	one[11] = 'l';
	MUST(ftruncate(fd, 2 * TST_PAGE));
	CHECK(one[9] == 'k', "what was within the file stays");
	CHECK(one[TST_PAGE + 7] == 0, "truncated bytes are zero when the file grows again");
	MUST(munmap(one, 2 * TST_PAGE));
	MUST(munmap(two, TST_PAGE));
	MUST(close(fd));
	reader = MUST(open("file", O_RDONLY));
	CHECK_EQ(pread(reader, &byte, 1, 9), 1);
	CHECK(byte == 'k', "the write is in the file after munmap");

	writer = MUST(open("file", O_WRONLY));
	folder = MUST(open(".", O_RDONLY));
	MUST(pipe(ends));
	CHECK_ERR(mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0), EACCES);
	CHECK_OK(mmap(NULL, TST_PAGE, PROT_READ, MAP_SHARED, reader, 0));
	CHECK_ERR(mmap(NULL, TST_PAGE, PROT_READ, MAP_SHARED, writer, 0), EACCES);
	CHECK_ERR(mmap(NULL, TST_PAGE, PROT_READ, MAP_PRIVATE, writer, 0), EACCES);
	CHECK_ERR(mmap(NULL, TST_PAGE, PROT_READ, MAP_PRIVATE, folder, 0), ENODEV);
	CHECK_ERR(mmap(NULL, TST_PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
	one = MUST(mmap(NULL, TST_PAGE, PROT_READ, MAP_SHARED, reader, 0));
	CHECK_ERR(mprotect(one, TST_PAGE, PROT_READ | PROT_WRITE), EACCES);
	MUST(close(reader));
	MUST(close(writer));
	MUST(close(folder));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

int main(void)
{
	tst_catch_faults();
	tst_in_dirs(check);
	return tst_done();
}
