/* nanosleep(2) and clock_nanosleep(2): at least as long as asked, absolute times, and their errors. */
#include "../tst.h"

/* Microseconds that a call took. */
#define TOOK(call)                                                 \
	({                                                         \
		long long tst_start = tst_now(CLOCK_MONOTONIC);    \
		MUST(call);                                        \
		(tst_now(CLOCK_MONOTONIC) - tst_start) / 1000;     \
	})

int main(void)
{
	const struct timespec none = { 0, 0 }, short_while = { 0, 30000000 }, past = { 1, 0 };
	const struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 };
	struct timespec until;
	long long took, cpu;

	took = TOOK(nanosleep(&short_while, NULL));
	CHECK(took >= 30000, "no shorter than asked");
	CHECK(took < 1000000, "not much longer");
	CHECK(TOOK(nanosleep(&none, NULL)) < 500000, "nothing to wait for");
	CHECK(TOOK(clock_nanosleep(CLOCK_MONOTONIC, 0, &short_while, NULL)) >= 30000, "relative on CLOCK_MONOTONIC");
	CHECK(TOOK(clock_nanosleep(CLOCK_REALTIME, 0, &short_while, NULL)) >= 30000, "relative on CLOCK_REALTIME");
	CHECK(TOOK(clock_nanosleep(CLOCK_BOOTTIME, 0, &short_while, NULL)) >= 30000, "relative on CLOCK_BOOTTIME");
	MUST(clock_gettime(CLOCK_MONOTONIC, &until));
	until.tv_nsec += 40000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0);
	CHECK(tst_now(CLOCK_MONOTONIC) >= until.tv_sec * 1000000000LL + until.tv_nsec, "until an absolute time");
	CHECK(TOOK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL)) < 500000, "a time that is past");
	cpu = tst_now(CLOCK_PROCESS_CPUTIME_ID);
	MUST(nanosleep(&short_while, NULL));
	CHECK(tst_now(CLOCK_PROCESS_CPUTIME_ID) - cpu < 20000000, "sleeping takes no CPU time");

	CHECK_ERR(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_nanosleep, &negative, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_nanosleep, TST_BAD, NULL), EFAULT);
	CHECK_ERR(syscall(SYS_clock_nanosleep, 99, 0, &none, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &none, NULL), EOPNOTSUPP);
	CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &none, NULL), EOPNOTSUPP);
	CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, TST_BAD, NULL), EFAULT);
	return tst_done();
}
