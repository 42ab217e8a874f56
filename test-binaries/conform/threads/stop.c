/* conform: libs=-lpthread */
/* SIGSTOP stops all threads, sleeping or computing; a timer's SIGCONT lets them go on, with no call interrupted. */
#include "../tst.h"
#include <pthread.h>

static volatile long long longest;
static volatile int stop, ready;
static volatile long slept, rounds;

static void *spins(void *argument)
{
	long long last = tst_now(CLOCK_MONOTONIC);

	(void)argument;
	ready = 1;
	while (!stop) {
		long long now = tst_now(CLOCK_MONOTONIC);

		if (now - last > longest)
			longest = now - last;
		last = now;
		rounds++;
	}
	return NULL;
}

static void *sleeps(void *argument)
{
	struct timespec time = { .tv_nsec = 50000000 };

	(void)argument;
	slept = nanosleep(&time, NULL) ? -1 : 1;
	return NULL;
}

static void handler(int signal)
{
	(void)signal;
}

int main(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT };
	struct itimerspec time = { .it_value.tv_nsec = 200000000 };
	pthread_t spinner, sleeper;
	long long before;
	long until;
	timer_t timer;

	MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
	if (pthread_create(&spinner, NULL, spins, NULL) || pthread_create(&sleeper, NULL, sleeps, NULL))
		tst_brk("pthread_create");
	while (!ready)
		usleep(1000);
	before = tst_now(CLOCK_MONOTONIC);
	MUST(timer_settime(timer, 0, &time, NULL));
	CHECK_EQ(kill(getpid(), SIGSTOP), 0);
	CHECK(tst_now(CLOCK_MONOTONIC) - before > 190000000, "stopped until SIGCONT came");
	/* The busy thread has to look at the clock again before it may end. */
	for (until = rounds + 2; rounds < until;)
		usleep(1000);
	stop = 1;
	pthread_join(spinner, NULL);
	pthread_join(sleeper, NULL);
	CHECK(longest > 150000000, "a busy thread stood still meanwhile");
	CHECK_EQ(slept, 1);

	signal(SIGCONT, handler);
	MUST(timer_settime(timer, 0, &time, NULL));
	CHECK_EQ(raise(SIGSTOP), 0);
	CHECK_OK(timer_delete(timer));
	return tst_done();
}
