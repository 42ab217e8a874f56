/* fcntl(2): F_GETFL, F_SETFL, F_GETFD, F_SETFD, and its errors. */
#include "../tst.h"

/* O_LARGEFILE as the kernel shows it, whatever the C library's header says. */
#define LARGE 0100000

int main(void)
{
	int fd, ends[2];

	tst_file(tst_path("fcntl"), "x");
	fd = MUST(open(tst_path("fcntl"), O_RDWR | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0600));
	CHECK_EQ(fcntl(fd, F_GETFL) & ~LARGE, O_RDWR | O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFL) & LARGE, "a 64-bit program's files have O_LARGEFILE");
	CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND | O_CREAT | O_WRONLY), 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & ~LARGE, O_RDWR | O_APPEND);
	CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & ~LARGE, O_RDWR);
	CHECK_EQ(fcntl(fd, F_SETFL, O_NOATIME), 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & ~LARGE, O_RDWR | O_NOATIME);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fd, F_SETFD, 0), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_EQ(fcntl(fd, F_SETFD, FD_CLOEXEC | 0x100), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	MUST(close(fd));
	fd = MUST(open(tst_path("fcntl"), O_WRONLY));
	CHECK_EQ(fcntl(fd, F_GETFL) & ~LARGE, O_WRONLY);
	MUST(unlink(tst_path("fcntl")));

	MUST(pipe2(ends, O_NONBLOCK));
	CHECK_EQ(fcntl(ends[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	CHECK_EQ(fcntl(ends[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	CHECK_ERR(fcntl(ends[0], 9999), EINVAL);
	CHECK_ERR(fcntl(-1, F_GETFL), EBADF);
	CHECK_ERR(fcntl(-1, 9999), EBADF);
	return tst_done();
}
