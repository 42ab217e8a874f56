/* O_APPEND: every write goes to the end, wherever the offset is and whoever else wrote. */
#include "../tst.h"

static void check(const char *dir)
{
	char text[32] = { 0 };
	int one, two, three;

	(void)dir;
	tst_file("file", "start");
	one = MUST(open("file", O_RDWR | O_APPEND));
	two = MUST(open("file", O_WRONLY | O_APPEND));
	CHECK_EQ(lseek(one, 0, SEEK_CUR), 0);
	CHECK_EQ(write(one, "-a", 2), 2);
	CHECK_EQ(lseek(one, 0, SEEK_CUR), 7);
	CHECK_EQ(write(two, "-b", 2), 2);
	MUST(lseek(one, 0, SEEK_SET));
	CHECK_EQ(write(one, "-c", 2), 2);
	three = MUST(open("file", O_WRONLY));
	MUST(fcntl(three, F_SETFL, O_APPEND));
	CHECK_EQ(write(three, "-d", 2), 2);
	MUST(fcntl(three, F_SETFL, 0));
	MUST(lseek(three, 0, SEEK_SET));
	CHECK_EQ(write(three, "S", 1), 1);
	CHECK_EQ(pread(one, text, 31, 0), 13);
	CHECK_STR(text, "Start-a-b-c-d");
	MUST(close(one));
	MUST(close(two));
	MUST(close(three));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
