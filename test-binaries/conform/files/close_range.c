/* close_range(2): ranges with gaps, CLOSE_RANGE_CLOEXEC, and its errors. */
#include "../tst.h"

int main(void)
{
	int fd = MUST(open("/dev/null", O_RDONLY));

	for (int i = 10; i < 20; i++)
		MUST(dup2(fd, i));
	MUST(close(13));
	CHECK_EQ(syscall(SYS_close_range, 12, 15, 0), 0);
	CHECK_EQ(fcntl(11, F_GETFD), 0);
	CHECK_ERR(fcntl(12, F_GETFD), EBADF);
	CHECK_ERR(fcntl(15, F_GETFD), EBADF);
	CHECK_EQ(fcntl(16, F_GETFD), 0);
	CHECK_EQ(syscall(SYS_close_range, 16, 17, 4), 0);
	CHECK_EQ(fcntl(16, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(18, F_GETFD), 0);
	CHECK_EQ(syscall(SYS_close_range, 18, ~0U, 0), 0);
	CHECK_ERR(fcntl(19, F_GETFD), EBADF);
	CHECK_ERR(syscall(SYS_close_range, 20, 10, 0), EINVAL);
	CHECK_ERR(syscall(SYS_close_range, 10, 20, 1), EINVAL);
	CHECK_EQ(fcntl(10, F_GETFD), 0);
	return tst_done();
}
