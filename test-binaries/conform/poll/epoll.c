/* epoll_create1(2), epoll_ctl(2), epoll_wait(2), epoll_pwait(2): level and edge, one shot, data, nesting, closed descriptors; and the errors. */
#include "../tst.h"

#include <sys/epoll.h>

static int instance;
static struct epoll_event found[8];

static int control(int operation, int fd, unsigned events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return epoll_ctl(instance, operation, fd, &event);
}

static int now(void)
{
	return epoll_wait(instance, found, 8, 0);
}

int main(void)
{
	char byte;
	int first[2], second[2], other, file, copy;
	long long start;

	instance = MUST(epoll_create1(EPOLL_CLOEXEC));
	CHECK_EQ(fcntl(instance, F_GETFD), FD_CLOEXEC);
	MUST(pipe(first));
	MUST(pipe(second));
	CHECK_EQ(control(EPOLL_CTL_ADD, first[0], EPOLLIN, 0x1122334455667788), 0);
	CHECK_EQ(control(EPOLL_CTL_ADD, second[1], EPOLLOUT, 2), 0);
	CHECK_ERR(control(EPOLL_CTL_ADD, first[0], EPOLLIN, 1), EEXIST);
	CHECK_EQ(now(), 1);
	CHECK(found[0].events == EPOLLOUT && found[0].data.u64 == 2, "an empty pipe can be written");
	MUST(write(first[1], "xy", 2));
	CHECK_EQ(now(), 2);
	CHECK_EQ(epoll_wait(instance, found, 1, 0), 1);
	CHECK_EQ(control(EPOLL_CTL_DEL, second[1], 0, 0), 0);
	CHECK_EQ(now(), 1);
	CHECK(found[0].events == EPOLLIN && found[0].data.u64 == 0x1122334455667788, "the data that was given");
	CHECK_EQ(now(), 1);

	CHECK_EQ(control(EPOLL_CTL_MOD, first[0], EPOLLIN | EPOLLET, 3), 0);
	CHECK_EQ(now(), 1);
	CHECK_EQ(now(), 0);
	MUST(write(first[1], "z", 1));
	CHECK_EQ(now(), 1);
	CHECK_EQ(now(), 0);
	CHECK_EQ(control(EPOLL_CTL_MOD, first[0], EPOLLIN | EPOLLONESHOT, 4), 0);
	CHECK_EQ(now(), 1);
	CHECK_EQ(now(), 0);
	MUST(write(first[1], "z", 1));
	CHECK_EQ(now(), 0);
	CHECK_EQ(control(EPOLL_CTL_MOD, first[0], EPOLLIN, 5), 0);
	CHECK_EQ(now(), 1);
	CHECK_EQ(found[0].data.u64, 5);

	/* An instance in another one. */
	other = MUST(epoll_create(1));
	CHECK_EQ(fcntl(other, F_GETFD), 0);
	CHECK_EQ(epoll_ctl(other, EPOLL_CTL_ADD, instance, &(struct epoll_event){ .events = EPOLLIN, .data.u64 = 6 }), 0);
	CHECK_EQ(epoll_wait(other, found, 8, 0), 1);
	CHECK_EQ(found[0].data.u64, 6);
	CHECK_ERR(control(EPOLL_CTL_ADD, other, EPOLLIN, 0), ELOOP);
	for (int i = 0; i < 4; i++)
		MUST(read(first[0], &byte, 1));
	CHECK_EQ(epoll_wait(other, found, 8, 0), 0);
	MUST(close(other));

	start = tst_now(CLOCK_MONOTONIC);
	CHECK_EQ(epoll_wait(instance, found, 8, 20), 0);
	CHECK(tst_now(CLOCK_MONOTONIC) - start >= 19000000, "it waits for its time");
	MUST(close(first[1]));
	CHECK_EQ(now(), 1);
	CHECK_EQ(found[0].events, EPOLLHUP);
	copy = MUST(dup(first[0]));
	MUST(close(first[0]));
	CHECK_EQ(now(), 1);
	MUST(close(copy));
	CHECK_EQ(now(), 0);

	file = MUST(open("/proc/self/exe", O_RDONLY));
	CHECK_ERR(control(EPOLL_CTL_ADD, file, EPOLLIN, 0), EPERM);
	CHECK_ERR(control(EPOLL_CTL_ADD, instance, EPOLLIN, 0), EINVAL);
	CHECK_ERR(control(EPOLL_CTL_ADD, -1, EPOLLIN, 0), EBADF);
	CHECK_ERR(control(EPOLL_CTL_MOD, second[0], EPOLLIN, 0), ENOENT);
	CHECK_ERR(control(EPOLL_CTL_DEL, second[0], EPOLLIN, 0), ENOENT);
	CHECK_ERR(control(99, second[0], EPOLLIN, 0), EINVAL);
	CHECK_ERR(epoll_ctl(file, EPOLL_CTL_ADD, second[0], found), EINVAL);
	CHECK_ERR(syscall(SYS_epoll_ctl, instance, EPOLL_CTL_ADD, second[0], TST_BAD), EFAULT);
	CHECK_ERR(epoll_wait(instance, found, 0, 0), EINVAL);
	CHECK_ERR(epoll_wait(instance, found, TST_MINUS, 0), EINVAL);
	CHECK_ERR(epoll_wait(file, found, 1, 0), EINVAL);
	CHECK_ERR(epoll_wait(-1, found, 1, 0), EBADF);
	MUST(control(EPOLL_CTL_ADD, second[1], EPOLLOUT, 0));
	CHECK_ERR(syscall(SYS_epoll_wait, instance, TST_BAD, 8, 0), EFAULT);
	CHECK_ERR(syscall(SYS_epoll_create, 0), EINVAL);
	CHECK_ERR(epoll_create1(1), EINVAL);
	CHECK_ERR(read(instance, &byte, 1), EINVAL);
	CHECK_EQ(lseek(instance, 10, SEEK_SET), 0);
	return tst_done();
}
