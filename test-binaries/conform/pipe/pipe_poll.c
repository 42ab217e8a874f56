/* poll(2), ppoll(2), select(2), pselect6(2) on pipes, files and bad descriptors: events, times; and their errors. */
#include "../tst.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>

int main(void)
{
	static char data[65536];
	struct pollfd list[4];
	struct rlimit limit;
	const struct timespec none = { 0, 0 }, short_while = { 0, 20000000 }, bad = { 0, -1 };
	struct timeval zero = { 0, 0 }, twenty = { 0, 20000 };
	fd_set reading, writing;
	int ends[2], file;
	long long start;

	MUST(pipe(ends));
	file = MUST(open("/proc/self/exe", O_RDONLY));
	list[0] = (struct pollfd){ ends[0], POLLIN, 0 };
	list[1] = (struct pollfd){ ends[1], POLLOUT, 0 };
	list[2] = (struct pollfd){ file, POLLIN | POLLOUT, 0 };
	list[3] = (struct pollfd){ -1, POLLIN, 99 };
	CHECK_EQ(poll(list, 4, 0), 2);
	CHECK(list[0].revents == 0 && list[1].revents == POLLOUT, "an empty pipe can be written only");
	CHECK(list[2].revents == (POLLIN | POLLOUT) && list[3].revents == 0, "a file always can; -1 is passed over");
	MUST(write(ends[1], "x", 1));
	CHECK_EQ(poll(list, 1, -1), 1);
	CHECK_EQ(list[0].revents, POLLIN);
	MUST(fcntl(ends[1], F_SETFL, O_NONBLOCK));
	while (write(ends[1], data, sizeof(data)) > 0)
		;
	CHECK_EQ(poll(list + 1, 1, 0), 0);
	MUST(read(ends[0], data, sizeof(data)));
	CHECK_EQ(poll(list + 1, 1, 0), 1);
	while (poll(list, 1, 0) == 1)
		MUST(read(ends[0], data, sizeof(data)));
	start = tst_now(CLOCK_MONOTONIC);
	CHECK_EQ(poll(list, 1, 20), 0);
	CHECK(tst_now(CLOCK_MONOTONIC) - start >= 20000000, "poll waits for its time");
	start = tst_now(CLOCK_MONOTONIC);
	CHECK_EQ(syscall(SYS_ppoll, list, 1, &(struct timespec){ 0, 20000000 }, NULL, 0), 0);
	CHECK(tst_now(CLOCK_MONOTONIC) - start >= 20000000, "so does ppoll");

	FD_ZERO(&reading);
	FD_ZERO(&writing);
	FD_SET(ends[0], &reading);
	FD_SET(ends[1], &writing);
	CHECK_EQ(select(ends[1] + 1, &reading, &writing, NULL, &zero), 1);
	CHECK(!FD_ISSET(ends[0], &reading) && FD_ISSET(ends[1], &writing), "select keeps what is ready");
	FD_SET(ends[0], &reading);
	start = tst_now(CLOCK_MONOTONIC);
	CHECK_EQ(select(ends[0] + 1, &reading, NULL, NULL, &twenty), 0);
	CHECK(tst_now(CLOCK_MONOTONIC) - start >= 20000000, "select waits for its time");
	CHECK_EQ(select(0, NULL, NULL, NULL, &zero), 0);

	MUST(close(ends[1]));
	CHECK_EQ(poll(list, 1, 0), 1);
	CHECK_EQ(list[0].revents, POLLHUP);
	FD_SET(ends[0], &reading);
	CHECK_EQ(select(ends[0] + 1, &reading, NULL, NULL, &zero), 1);
	list[1].events = POLLIN;
	CHECK_EQ(poll(list + 1, 1, 0), 1);
	CHECK_EQ(list[1].revents, POLLNVAL);
	MUST(pipe(ends));
	MUST(close(ends[0]));
	list[1] = (struct pollfd){ ends[1], POLLOUT, 0 };
	CHECK_EQ(poll(list + 1, 1, 0), 1);
	CHECK_EQ(list[1].revents, POLLOUT | POLLERR);

	MUST(close(file));
	FD_ZERO(&reading);
	FD_SET(file, &reading);
	CHECK_ERR(select(file + 1, &reading, NULL, NULL, &zero), EBADF);
	CHECK_ERR(select(-1, NULL, NULL, NULL, &zero), EINVAL);
	CHECK_ERR(syscall(SYS_ppoll, list, 1, &bad, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_ppoll, list, 1, &short_while, &reading, 4), EINVAL);
	CHECK_ERR(syscall(SYS_poll, TST_BAD, 1, 0), EFAULT);
	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	CHECK_ERR(syscall(SYS_poll, list, limit.rlim_cur + 1, 0), EINVAL);
	CHECK_EQ(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &none, NULL), 0);
	return tst_done();
}
