/* CPU time as clock(3), getrusage(2), times(2) and the CPU clocks count it: grows with work. */
#include "../tst.h"

#include <sys/resource.h>
#include <sys/times.h>

static long long user(void)
{
	struct rusage usage;

	MUST(getrusage(RUSAGE_SELF, &usage));
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

int main(void)
{
	struct rusage usage;
	struct tms ticks;
	volatile unsigned long work = 0;
	long long used = user(), cpu = tst_now(CLOCK_PROCESS_CPUTIME_ID), thread = tst_now(CLOCK_THREAD_CPUTIME_ID);
	clock_t first = times(NULL);

	while (tst_now(CLOCK_PROCESS_CPUTIME_ID) - cpu < 100000000)
		for (int i = 0; i < 100000; i++)
			work += i;
	CHECK(tst_now(CLOCK_THREAD_CPUTIME_ID) - thread >= 90000000, "the thread's clock counts the same work");
	CHECK(user() - used >= 50000, "getrusage counts it");
	CHECK(times(&ticks) != (clock_t)-1 && ticks.tms_utime + ticks.tms_stime >= 5, "times counts it in hundredths");
	CHECK(times(NULL) - first >= 5, "times gives the time that passed");
	CHECK(clock() >= 50000, "clock counts it");
	CHECK_EQ(ticks.tms_cutime, 0);
	CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
	CHECK(usage.ru_maxrss > 0 && usage.ru_minflt > 0, "a resident set and page faults");
	CHECK_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
	CHECK(usage.ru_utime.tv_sec == 0 && usage.ru_utime.tv_usec == 0, "no children, no time of theirs");
	CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
	CHECK_ERR(getrusage(99, &usage), EINVAL);
	CHECK_ERR(syscall(SYS_getrusage, RUSAGE_SELF, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_times, TST_BAD), EFAULT);
	CHECK_EQ(sysconf(_SC_CLK_TCK), 100);
	return tst_done();
}
