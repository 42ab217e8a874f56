/* FIFOs within one process: opening in each mode, data, O_NONBLOCK, removal; and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	char text[16];
	int both, reader, writer;

	(void)dir;
	CHECK_EQ(mkfifo("fifo", 0600), 0);
	CHECK_ERR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	reader = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
	tst_pass("a reader does not wait with O_NONBLOCK");
	CHECK_EQ(read(reader, text, 1), 0);
	writer = MUST(open("fifo", O_WRONLY));
	CHECK_ERR(read(reader, text, 1), EAGAIN);
	CHECK_EQ(write(writer, "data", 4), 4);
	CHECK_EQ(read(reader, text, 16), 4);
	CHECK(!memcmp(text, "data", 4), "what is written at one end is read at the other");
	MUST(close(writer));
	CHECK_EQ(read(reader, text, 1), 0);
	MUST(close(reader));
	both = MUST(open("fifo", O_RDWR));
	CHECK_EQ(write(both, "self", 4), 4);
	CHECK_EQ(read(both, text, 16), 4);
	CHECK_ERR(lseek(both, 0, SEEK_SET), ESPIPE);
	MUST(unlink("fifo"));
	CHECK_EQ(write(both, "gone", 4), 4);
	CHECK_EQ(read(both, text, 16), 4);
	MUST(close(both));
	CHECK_ERR(open("fifo", O_RDONLY), ENOENT);
	tst_file("file", "");
	CHECK_ERR(mkfifo("file", 0600), EEXIST);
	CHECK_ERR(mkfifo("missing/x", 0600), ENOENT);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
