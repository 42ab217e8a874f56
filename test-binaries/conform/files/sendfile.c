/* sendfile(2) and copy_file_range(2): offsets, ends, into pipes and files; and their errors. */
#include "../tst.h"

#include <sys/sendfile.h>

static void check(const char *dir)
{
	char text[64] = { 0 };
	off_t offset = 2;
	int in, out, append, ends[2];

	(void)dir;
	tst_file("in", "0123456789");
	in = MUST(open("in", O_RDWR));
	out = MUST(open("out", O_RDWR | O_CREAT, 0600));
	CHECK_EQ(sendfile(out, in, &offset, 4), 4);
	CHECK_EQ(offset, 6);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 4);
	CHECK_EQ(sendfile(out, in, NULL, 100), 10);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
	CHECK_EQ(sendfile(out, in, NULL, 100), 0);
	CHECK_EQ(pread(out, text, 63, 0), 14);
	CHECK_STR(text, "23450123456789");
	MUST(pipe(ends));
	offset = 5;
	CHECK_EQ(sendfile(ends[1], in, &offset, 3), 3);
	CHECK_EQ(read(ends[0], text, 63), 3);
	CHECK(!memcmp(text, "567", 3), "into a pipe");
	append = MUST(open("out", O_WRONLY | O_APPEND));
	CHECK_ERR(sendfile(append, in, &offset, 3), EINVAL);
	CHECK_ERR(sendfile(out, -1, NULL, 3), EBADF);
	CHECK_ERR(sendfile(append, append, NULL, 3), EBADF);
	offset = -1;
	CHECK_ERR(sendfile(out, in, &offset, 3), EINVAL);
	CHECK_ERR(sendfile(out, in, TST_BAD, 3), EFAULT);

	loff_t from = 1, to = 20;
	CHECK_EQ(syscall(SYS_copy_file_range, in, &from, out, &to, 5L, 0), 5);
	CHECK(from == 6 && to == 25, "copy_file_range moves the offsets it was given");
	memset(text, 0, sizeof(text));
	CHECK_EQ(pread(out, text, 63, 19), 6);
	CHECK(!memcmp(text, "\00012345", 6), "and copies");
	from = 10;
	CHECK_EQ(syscall(SYS_copy_file_range, in, &from, out, &to, 5L, 0), 0);
	from = 0;
	to = 2;
	CHECK_ERR(syscall(SYS_copy_file_range, in, &from, in, &to, 5L, 0), EINVAL);
	CHECK_ERR(syscall(SYS_copy_file_range, in, &from, out, &to, 5L, 1), EINVAL);
	CHECK_ERR(syscall(SYS_copy_file_range, in, &from, append, &to, 5L, 0), EBADF);
	CHECK_ERR(syscall(SYS_copy_file_range, in, &from, ends[1], NULL, 5L, 0), EINVAL);
	MUST(close(in));
	MUST(close(out));
	MUST(close(append));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
