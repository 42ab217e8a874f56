/* /proc/self/fd of a pipe: its name, and opening it anew gives another end of the same pipe. */
#include "../tst.h"

int main(void)
{
	char path[64], target[64] = { 0 }, text[8] = { 0 };
	unsigned long inode;
	struct stat status;
	int ends[2], writer;

	MUST(pipe(ends));
	MUST(fstat(ends[0], &status));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
	CHECK_OK(readlink(path, target, sizeof(target) - 1));
	CHECK(sscanf(target, "pipe:[%lu]", &inode) == 1 && inode == status.st_ino, "its name holds its inode");
	writer = MUST(open(path, O_WRONLY));
	CHECK_EQ(write(writer, "again", 5), 5);
	CHECK_EQ(read(ends[0], text, 7), 5);
	CHECK_STR(text, "again");
	MUST(close(ends[1]));
	CHECK_EQ(write(writer, "still", 5), 5);
	MUST(close(writer));
	CHECK_EQ(read(ends[0], text, 7), 5);
	CHECK_EQ(read(ends[0], text, 7), 0);
	return tst_done();
}
