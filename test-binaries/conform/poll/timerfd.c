/* timerfd_create(2) and its kin: expirations counted, intervals, absolute times, what poll says; and the errors. */
#include "../tst.h"

#include <poll.h>
#include <sys/timerfd.h>

static int ready(int fd, int timeout)
{
	struct pollfd one = { fd, POLLIN, 0 };

	return MUST(poll(&one, 1, timeout));
}

int main(void)
{
	const struct itimerspec once = { { 0, 0 }, { 0, 30000000 } }, often = { { 0, 10000000 }, { 0, 10000000 } };
	const struct itimerspec off = { { 0, 0 }, { 0, 0 } }, bad = { { 0, 0 }, { 0, 1000000000 } }, past = { { 0, 0 }, { 0, 1 } };
	const struct itimerspec later = { { 7, 5 }, { 100, 0 } };
	struct itimerspec now;
	uint64_t count = 99;
	long long start;
	int fd = MUST(timerfd_create(CLOCK_MONOTONIC, 0)), other;

	CHECK_EQ(timerfd_gettime(fd, &now), 0);
	CHECK(!now.it_value.tv_sec && !now.it_value.tv_nsec && !now.it_interval.tv_sec, "not armed at first");
	CHECK_EQ(ready(fd, 0), 0);
	start = tst_now(CLOCK_MONOTONIC);
	CHECK_EQ(timerfd_settime(fd, 0, &once, NULL), 0);
	CHECK_EQ(ready(fd, 0), 0);
	CHECK_EQ(read(fd, &count, 8), 8);
	CHECK_EQ(count, 1);
	CHECK(tst_now(CLOCK_MONOTONIC) - start >= 30000000, "not before its time");
	CHECK_EQ(ready(fd, 0), 0);
	CHECK_EQ(timerfd_settime(fd, 0, &often, NULL), 0);
	MUST(nanosleep(&(struct timespec){ 0, 55000000 }, NULL));
	CHECK_EQ(ready(fd, 0), 1);
	CHECK_EQ(read(fd, &count, 8), 8);
	CHECK(count >= 5 && count < 100, "an interval's expirations are counted");
	CHECK_EQ(ready(fd, 1000), 1);
	CHECK_EQ(timerfd_settime(fd, 0, &later, &now), 0);
	CHECK_EQ(now.it_interval.tv_nsec, 10000000);
	CHECK_EQ(timerfd_gettime(fd, &now), 0);
	CHECK(now.it_value.tv_sec >= 90 && now.it_value.tv_sec <= 100 && now.it_interval.tv_sec == 7, "the time left and the interval");
	CHECK_EQ(ready(fd, 0), 0);
	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &past, NULL), 0);
	CHECK_EQ(read(fd, &count, 8), 8);
	CHECK_EQ(count, 1);
	CHECK_EQ(timerfd_settime(fd, 0, &off, NULL), 0);
	MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
	CHECK_ERR(read(fd, &count, 8), EAGAIN);
	CHECK_ERR(read(fd, &count, 7), EINVAL);
	CHECK_ERR(write(fd, &count, 8), EINVAL);
	CHECK_EQ(lseek(fd, 10, SEEK_SET), 0);

	other = MUST(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
	CHECK_EQ(fcntl(other, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(other, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_EQ(timerfd_settime(other, 0, &once, NULL), 0);
	CHECK_EQ(ready(other, 5000), 1);
	CHECK_ERR(timerfd_settime(fd, 0, &bad, NULL), EINVAL);
	CHECK_ERR(timerfd_settime(fd, 0x99, &once, NULL), EINVAL);
	CHECK_ERR(timerfd_settime(0, 0, &once, NULL), EINVAL);
	CHECK_ERR(timerfd_settime(-1, 0, &once, NULL), EBADF);
	CHECK_ERR(timerfd_gettime(1, &now), EINVAL);
	CHECK_ERR(syscall(SYS_timerfd_settime, fd, 0, TST_BAD, NULL), EFAULT);
	CHECK_ERR(syscall(SYS_timerfd_gettime, fd, TST_BAD), EFAULT);
	CHECK_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK_ERR(timerfd_create(99, 0), EINVAL);
	CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	return tst_done();
}
