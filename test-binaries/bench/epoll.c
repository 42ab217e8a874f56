/* epoll_wait with one file ready of 10, and of 10,000; the ready one changes from step to step. */
#include "bench.h"
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

static int instance, files[10000], in_use;

static void wait_round(long count)
{
	for (long i = 0; i < count; i++) {
		struct epoll_event event;
		uint64_t value = 1;
		int file = files[i * 7 % in_use];

		if (write(file, &value, 8) != 8 || epoll_wait(instance, &event, 1, -1) != 1 || event.data.fd != file ||
		    read(file, &value, 8) != 8)
			exit(1);
	}
}

/* Only the call itself: the file stays ready. */
static void ready_round(long count)
{
	struct epoll_event event;

	for (long i = 0; i < count; i++)
		if (epoll_wait(instance, &event, 1, -1) != 1)
			exit(1);
}

int main(void)
{
	struct rlimit limit = { 20000, 20000 };
	uint64_t one = 1;

	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		perror("setrlimit");
		return 1;
	}
	instance = epoll_create1(0);
	while (in_use < 10000) {
		struct epoll_event event = { EPOLLIN, { 0 } };

		event.data.fd = files[in_use] = eventfd(0, EFD_NONBLOCK);
		if (event.data.fd < 0 || epoll_ctl(instance, EPOLL_CTL_ADD, event.data.fd, &event)) {
			perror("eventfd");
			return 1;
		}
		if (++in_use == 10)
			bench_report("write-epoll-read-10", wait_round, 10000);
	}
	bench_report("write-epoll-read-10000", wait_round, 10000);
	if (write(files[5000], &one, 8) != 8)
		return 1;
	bench_report("epoll-wait-1-of-10000", ready_round, 20000);
	return 0;
}
