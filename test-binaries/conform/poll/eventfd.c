/* eventfd2(2): the counter, semaphores, what poll says, sizes and overflow; and the errors. */
#include "../tst.h"

#include <poll.h>
#include <sys/eventfd.h>

static int ready(int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT, 0 };

	MUST(poll(&one, 1, 0));
	return one.revents;
}

int main(void)
{
	uint64_t value = 99, large[2] = { 7, 7 };
	int fd = MUST(eventfd(3, EFD_NONBLOCK)), plain;

	CHECK_EQ(ready(fd), POLLIN | POLLOUT);
	CHECK_EQ(read(fd, &value, 8), 8);
	CHECK_EQ(value, 3);
	CHECK_EQ(ready(fd), POLLOUT);
	CHECK_ERR(read(fd, &value, 8), EAGAIN);
	value = 5;
	CHECK_EQ(write(fd, &value, 8), 8);
	value = 6;
	CHECK_EQ(write(fd, &value, 8), 8);
	CHECK_EQ(read(fd, large, 16), 8);
	CHECK(large[0] == 11 && large[1] == 7, "writes add up; eight bytes are read whatever the buffer");
	CHECK_ERR(read(fd, &value, 7), EINVAL);
	CHECK_ERR(write(fd, &value, 7), EINVAL);
	value = UINT64_MAX;
	CHECK_ERR(write(fd, &value, 8), EINVAL);
	value = UINT64_MAX - 1;
	CHECK_EQ(write(fd, &value, 8), 8);
	CHECK_EQ(ready(fd), POLLIN);
	value = 1;
	CHECK_ERR(write(fd, &value, 8), EAGAIN);
	value = 0;
	CHECK_EQ(write(fd, &value, 8), 8);
	CHECK_EQ(read(fd, &value, 8), 8);
	CHECK(value == UINT64_MAX - 1, "the largest count");
	CHECK_ERR(read(fd, TST_BAD, 8), EAGAIN);
	CHECK_ERR(write(fd, TST_BAD, 8), EFAULT);
	CHECK_EQ(lseek(fd, 10, SEEK_SET), 0);
	CHECK_ERR(pread(fd, &value, 8, 0), ESPIPE);
	CHECK_ERR(ftruncate(fd, 0), EINVAL);

	plain = MUST(eventfd(2, EFD_SEMAPHORE | EFD_CLOEXEC));
	CHECK_EQ(fcntl(plain, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(fcntl(plain, F_GETFL) & O_ACCMODE, O_RDWR);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(read(plain, &value, 8), 8);
		CHECK_EQ(value, 1);
	}
	CHECK_EQ(ready(plain), POLLOUT);
	CHECK_ERR(syscall(SYS_eventfd2, 0, 4), EINVAL);
	CHECK_OK(close(syscall(SYS_eventfd, 1)));
	return tst_done();
}
