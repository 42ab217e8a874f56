/* How much longer than asked for a sleep takes: medians and 90th percentiles of many sleeps of a millisecond, and of many waits for an event that
 * does not come. Meant for a quiet machine. */
#include "bench.h"
#include <sys/epoll.h>

#define SLEEPS 400
#define MILLISECOND 1000000

static int instance;

static void by_nanosleep(void)
{
	nanosleep(&(struct timespec){ 0, MILLISECOND }, NULL);
}

static void by_epoll(void)
{
	struct epoll_event event;

	epoll_wait(instance, &event, 1, 1);
}

static void report(const char *name, void (*sleep_once)(void))
{
	static double over[SLEEPS];

	for (int i = -10; i < SLEEPS; i++) {
		double start = bench_now();

		sleep_once();
		if (i >= 0)
			over[i] = bench_now() - start - MILLISECOND;
	}
	qsort(over, SLEEPS, sizeof(*over), bench_compare);
	printf("%s-over-p50 %.1f ns\n%s-over-p90 %.1f ns\n", name, over[SLEEPS / 2], name, over[SLEEPS * 9 / 10]);
	fflush(stdout);
}

int main(void)
{
	instance = epoll_create1(0);
	report("nanosleep-1ms", by_nanosleep);
	report("epoll-wait-1ms", by_epoll);
	return 0;
}
