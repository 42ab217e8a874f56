/* ioctls of every descriptor: FIOCLEX, FIONCLEX, FIONBIO, FIONREAD of files; and their errors. */
#include "../tst.h"

#include <sys/ioctl.h>

int main(void)
{
	int fd, value, on = 1, off = 0;

	tst_file(tst_path("ioctl"), "0123456789");
	fd = MUST(open(tst_path("ioctl"), O_RDWR));
	MUST(unlink(tst_path("ioctl")));
	CHECK_EQ(ioctl(fd, FIOCLEX), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(ioctl(fd, FIONCLEX), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_EQ(ioctl(fd, FIONBIO, &on), 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK, "FIONBIO sets O_NONBLOCK");
	CHECK_EQ(ioctl(fd, FIONBIO, &off), 0);
	CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK), "and clears it");
	CHECK_EQ(ioctl(fd, FIONREAD, &value), 0);
	CHECK_EQ(value, 10);
	MUST(lseek(fd, 4, SEEK_SET));
	CHECK_EQ(ioctl(fd, FIONREAD, &value), 0);
	CHECK_EQ(value, 6);
	CHECK_ERR(ioctl(fd, FIONBIO, TST_BAD), EFAULT);
	CHECK_ERR(ioctl(fd, FIONREAD, TST_BAD), EFAULT);
	CHECK_ERR(ioctl(-1, FIOCLEX), EBADF);
	return tst_done();
}
