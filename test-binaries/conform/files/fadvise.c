/* posix_fadvise(2) and readahead(2): accepted advice, and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	char byte;
	int fd, ends[2];

	(void)dir;
	tst_file("file", "text");
	fd = MUST(open("file", O_RDWR));
	for (int advice = 0; advice <= 5; advice++)
		CHECK(posix_fadvise(fd, 0, 0, advice) == 0, "advice %d is accepted", advice);
	CHECK_EQ(pread(fd, &byte, 1, 0), 1);
	CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
	CHECK_EQ(posix_fadvise(fd, 0, -1, 0), EINVAL);
	CHECK_EQ(posix_fadvise(-1, 0, 0, 0), EBADF);
	MUST(pipe(ends));
	CHECK_EQ(posix_fadvise(ends[0], 0, 0, 0), ESPIPE);
	CHECK_EQ(syscall(SYS_readahead, fd, 0L, 100L), 0);
	CHECK_ERR(syscall(SYS_readahead, ends[0], 0L, 100L), EINVAL);
	CHECK_ERR(syscall(SYS_readahead, -1, 0L, 100L), EBADF);
	MUST(close(fd));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
