/* dup(2), dup2(2), dup3(2), F_DUPFD, F_DUPFD_CLOEXEC: numbers, flags, what is shared; and their errors. */
#include "../tst.h"

#include <sys/resource.h>

int main(void)
{
	char byte;
	struct rlimit limit;
	int fd, copy, ends[2];

	tst_file(tst_path("dup"), "abcdef");
	fd = MUST(open(tst_path("dup"), O_RDONLY | O_CLOEXEC));
	MUST(unlink(tst_path("dup")));
	copy = MUST(dup(fd));
	CHECK_EQ(copy, fd + 1);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(copy, F_GETFD) == 0, "a duplicate is not close-on-exec");
	MUST(read(fd, &byte, 1));
	MUST(read(copy, &byte, 1));
	CHECK(byte == 'b', "duplicates share the offset");
	MUST(fcntl(copy, F_SETFL, O_APPEND));
	CHECK(fcntl(fd, F_GETFL) & O_APPEND, "and the status flags");

	MUST(pipe(ends));
	CHECK_EQ(dup2(fd, ends[0]), ends[0]);
	MUST(read(ends[0], &byte, 1));
	CHECK(byte == 'c', "dup2 replaces what the number was");
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(ends[1], "x", 1), EPIPE);
	CHECK_EQ(dup2(fd, fd), fd);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC, "dup2 to itself changes nothing");
	CHECK_EQ(dup2(fd, 100), 100);
	CHECK_ERR(dup2(-1, 5), EBADF);
	CHECK_ERR(dup2(99, 99), EBADF);
	CHECK_ERR(dup2(fd, -1), EBADF);
	CHECK_ERR(dup(99), EBADF);

	CHECK_EQ(dup3(fd, 101, O_CLOEXEC), 101);
	CHECK_EQ(fcntl(101, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(syscall(SYS_dup3, fd, fd, 0), EINVAL);
	CHECK_ERR(syscall(SYS_dup3, fd, 102, O_APPEND), EINVAL);
	CHECK_ERR(dup3(99, 102, 0), EBADF);

	CHECK_EQ(fcntl(fd, F_DUPFD, 100), 102);
	CHECK_EQ(fcntl(102, F_GETFD), 0);
	CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 50), 50);
	CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	CHECK_ERR(dup2(fd, limit.rlim_cur), EBADF);
	CHECK_ERR(fcntl(fd, F_DUPFD, limit.rlim_cur), EINVAL);
	return tst_done();
}
