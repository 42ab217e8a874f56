/* setitimer(2), getitimer(2), alarm(2): SIGALRM, intervals, SIGVTALRM and SIGPROF by CPU time, sleeps interrupted; and their errors. */
#include "../tst.h"

#include <sys/time.h>

static volatile sig_atomic_t count[65];

static void tick(int signal)
{
	count[signal]++;
}

int main(void)
{
	const struct itimerval once = { { 0, 0 }, { 0, 30000 } }, often = { { 0, 5000 }, { 0, 5000 } };
	const struct itimerval off = { { 0, 0 }, { 0, 0 } }, bad = { { 0, 0 }, { 0, 1000000 } };
	const struct timespec second = { 5, 0 };
	struct timespec left = { 99, 99 };
	struct itimerval now;
	struct sigaction action = { .sa_handler = tick };
	long long start;

	MUST(sigaction(SIGALRM, &action, NULL));
	MUST(sigaction(SIGVTALRM, &action, NULL));
	MUST(sigaction(SIGPROF, &action, NULL));
	CHECK_EQ(getitimer(ITIMER_REAL, &now), 0);
	CHECK(!now.it_value.tv_sec && !now.it_value.tv_usec, "no timer to begin with");
	start = tst_now(CLOCK_MONOTONIC);
	CHECK_EQ(setitimer(ITIMER_REAL, &once, NULL), 0);
	CHECK_ERR(nanosleep(&second, &left), EINTR);
	CHECK_EQ(count[SIGALRM], 1);
	CHECK(tst_now(CLOCK_MONOTONIC) - start >= 30000000, "not before its time");
	CHECK(left.tv_sec == 4 && left.tv_nsec < 1000000000, "the time left of the sleep");
	CHECK_EQ(getitimer(ITIMER_REAL, &now), 0);
	CHECK(!now.it_value.tv_sec && !now.it_value.tv_usec, "a single timer is over");

	CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (count[SIGALRM] < 6)
		pause();
	tst_pass("an interval comes again and again");
	CHECK_EQ(setitimer(ITIMER_REAL, &off, &now), 0);
	CHECK(now.it_interval.tv_usec == 5000 && now.it_value.tv_usec <= 5000, "the old timer is given back");

	CHECK_EQ(setitimer(ITIMER_VIRTUAL, &once, NULL), 0);
	for (start = tst_now(CLOCK_MONOTONIC); !count[SIGVTALRM] && tst_now(CLOCK_MONOTONIC) - start < 5000000000;)
		;
	CHECK_EQ(count[SIGVTALRM], 1);
	CHECK_EQ(setitimer(ITIMER_PROF, &once, NULL), 0);
	for (start = tst_now(CLOCK_MONOTONIC); !count[SIGPROF] && tst_now(CLOCK_MONOTONIC) - start < 5000000000;)
		;
	CHECK_EQ(count[SIGPROF], 1);

	CHECK_EQ(alarm(100), 0);
	CHECK_EQ(alarm(1), 100);
	CHECK_EQ(alarm(0), 1);
	CHECK_ERR(setitimer(ITIMER_REAL, &bad, NULL), EINVAL);
	CHECK_ERR(setitimer(99, &once, NULL), EINVAL);
	CHECK_ERR(getitimer(99, &now), EINVAL);
	CHECK_ERR(syscall(SYS_getitimer, ITIMER_REAL, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_setitimer, ITIMER_REAL, TST_BAD, NULL), EFAULT);
	return tst_done();
}
