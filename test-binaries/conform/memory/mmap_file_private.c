/* mmap(2) of a file, MAP_PRIVATE: shows the file, writes stay private, zeros behind the end, SIGBUS a page further. */
#include "../tst.h"

static void check(const char *dir)
{
	char *map, byte;
	char text[8] = { 0 };
	int fd;

	(void)dir;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	for (int page = 0; page < 3; page++)
		MUST(pwrite(fd, (char[]){ 'a' + page }, 1, page * TST_PAGE));
	MUST(ftruncate(fd, 2 * TST_PAGE + 100));

	map = MUST(mmap(NULL, 4 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	CHECK_EQ(map[0], 'a');
	CHECK_EQ(map[2 * TST_PAGE], 'c');
	CHECK_EQ(map[2 * TST_PAGE + 100], 0);
	CHECK_EQ(TST_WRITE(map + 2 * TST_PAGE + 200), 0);
	CHECK_EQ(TST_READ(map + 3 * TST_PAGE), SIGBUS);
	CHECK_EQ(tst_fault_info.si_code, BUS_ADRERR);
	CHECK(tst_fault_info.si_addr == map + 3 * TST_PAGE, "si_addr is the address behind the end");

	map[0] = 'X';
	CHECK_EQ(pread(fd, &byte, 1, 0), 1);
	CHECK(byte == 'a', "a private write does not reach the file");
	MUST(pwrite(fd, "B", 1, TST_PAGE));
	CHECK(map[TST_PAGE] == 'B', "a page not yet written shows writes to the file");
	MUST(pwrite(fd, "Z", 1, 0));
	CHECK(map[0] == 'X', "a page written privately does not");
	MUST(close(fd));
	CHECK(map[2 * TST_PAGE] == 'c', "the mapping outlives the descriptor");
	MUST(munmap(map, 4 * TST_PAGE));

	fd = MUST(open("file", O_RDONLY));
	map = MUST(mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, TST_PAGE));
	CHECK(map[0] == 'B', "the offset is that of the file");
	map[0] = 'Q';
	CHECK(map[0] == 'Q', "a private mapping of a file opened for reading is writable");
	MUST(munmap(map, TST_PAGE));
	map = MUST(mmap(NULL, TST_PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	CHECK_EQ(TST_WRITE(map), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	MUST(unlink("file"));
	CHECK(map[0] == 'Z', "the mapping outlives the name");
	CHECK_EQ(read(fd, text, 1), 1);
	CHECK_STR(text, "Z");
	MUST(munmap(map, TST_PAGE));
	MUST(close(fd));
}

int main(void)
{
	tst_catch_faults();
	tst_in_dirs(check);
	return tst_done();
}
