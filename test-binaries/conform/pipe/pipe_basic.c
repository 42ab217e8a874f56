/* pipe(2) and pipe2(2): data in order, ends of file, EPIPE with SIGPIPE, O_NONBLOCK, O_CLOEXEC; and their errors. */
#include "../tst.h"

static volatile sig_atomic_t pipes;

static void handler(int signal)
{
	(void)signal;
	pipes++;
}

int main(void)
{
	char text[64];
	int ends[2];
	struct stat status;

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(ends[1], ends[0] + 1);
	CHECK_EQ(write(ends[1], "hello", 5), 5);
	CHECK_EQ(write(ends[1], " pipe", 5), 5);
	CHECK_EQ(read(ends[0], text, 3), 3);
	CHECK(!memcmp(text, "hel", 3), "first in, first out");
	CHECK_EQ(read(ends[0], text, sizeof(text)), 7);
	CHECK(!memcmp(text, "lo pipe", 7), "a read takes what there is, of several writes");
	CHECK_EQ(write(ends[1], text, 0), 0);
	CHECK_EQ(read(ends[0], text, 0), 0);
	CHECK_ERR(read(ends[1], text, 1), EBADF);
	CHECK_ERR(write(ends[0], text, 1), EBADF);
	MUST(fstat(ends[0], &status));
	CHECK(S_ISFIFO(status.st_mode) && status.st_nlink == 1 && status.st_size == 0, "fstat says that it is a FIFO");
	MUST(write(ends[1], "rest", 4));
	CHECK_EQ(close(ends[1]), 0);
	CHECK_EQ(read(ends[0], text, sizeof(text)), 4);
	CHECK_EQ(read(ends[0], text, sizeof(text)), 0);
	CHECK_EQ(read(ends[0], text, sizeof(text)), 0);
	MUST(close(ends[0]));

	signal(SIGPIPE, handler);
	MUST(pipe(ends));
	MUST(close(ends[0]));
	CHECK_ERR(write(ends[1], "x", 1), EPIPE);
	CHECK_EQ(pipes, 1);
	MUST(close(ends[1]));

	CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	CHECK_EQ(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
	CHECK_ERR(read(ends[0], text, 1), EAGAIN);
	CHECK_EQ(write(ends[1], "ab", 2), 2);
	CHECK_ERR(read(ends[0], TST_BAD, 1), EFAULT);
	CHECK_EQ(read(ends[0], text, 64), 2);
	CHECK_ERR(write(ends[1], TST_BAD, 1), EFAULT);
	CHECK_ERR(pipe2(ends, O_CREAT), EINVAL);
	CHECK_ERR(syscall(SYS_pipe, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_pipe2, TST_BAD, 0), EFAULT);
	return tst_done();
}
