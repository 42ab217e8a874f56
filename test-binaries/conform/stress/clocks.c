/* conform: libs=-lpthread timeout=60 */
/* Clocks read by many threads: none goes back, from one thread to another either, by the C library and by the kernel. */
#include "stress.h"
#include <sys/resource.h>
#include <sys/time.h>

STRESSOR(clocks, 100)

enum { CLOCKS_KINDS = 6 };
static const struct {
	clockid_t clock;
	const char *name;
	int across;
} clocks_kind[CLOCKS_KINDS] = {
	{ CLOCK_MONOTONIC, "CLOCK_MONOTONIC", 1 },
	{ CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW", 1 },
	{ CLOCK_BOOTTIME, "CLOCK_BOOTTIME", 1 },
	{ CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE", 1 },
	{ CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID", 0 },
	{ CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID", 0 },
};
/* The latest that any thread has read. */
static long long clocks_latest[CLOCKS_KINDS], clocks_latest_real;

static long long clocks_read(clockid_t clock, int by_kernel)
{
	struct timespec time;

	if (by_kernel ? syscall(SYS_clock_gettime, clock, &time) : clock_gettime(clock, &time))
		stress_fail(&clocks_self, "clock_gettime: %s", tst_errno(errno));
	if (time.tv_nsec < 0 || time.tv_nsec > 999999999)
		stress_fail(&clocks_self, "%ld nanoseconds", (long)time.tv_nsec);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void clocks_raise(long long *latest, long long value)
{
	long long seen = __atomic_load_n(latest, __ATOMIC_SEQ_CST);

	while (seen < value && !__atomic_compare_exchange_n(latest, &seen, value, 1, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static void *clocks_reader(void *argument)
{
	unsigned random = (long)argument + 1;
	long long own[CLOCKS_KINDS] = { 0 };

	while (stress_running()) {
		int kind = stress_random(&random) % CLOCKS_KINDS, across = clocks_kind[kind].across;
		long long before = across ? __atomic_load_n(&clocks_latest[kind], __ATOMIC_SEQ_CST) : own[kind];
		long long now = clocks_read(clocks_kind[kind].clock, random >> 8 & 1);

		if (now < before)
			stress_fail(&clocks_self, "%s went back by %lld ns", clocks_kind[kind].name, before - now);
		own[kind] = now;
		if (across)
			clocks_raise(&clocks_latest[kind], now);
		if (random % 1024 == 0)
			sched_yield();
		if (random % 16 == 0) {
			/* The coarse clock is never ahead of the fine one. */
			long long coarse = clocks_read(CLOCK_MONOTONIC_COARSE, 0), fine = clocks_read(CLOCK_MONOTONIC, 0);
			long long thread = clocks_read(CLOCK_THREAD_CPUTIME_ID, 0);
			long long process = clocks_read(CLOCK_PROCESS_CPUTIME_ID, 0);

			if (coarse > fine)
				stress_fail(&clocks_self, "the coarse clock is ahead by %lld ns", coarse - fine);
			if (thread > process)
				stress_fail(&clocks_self, "a thread ran for longer than its process");
		}
		stress_progress(&clocks_self, 1);
	}
	return NULL;
}

/* Real time by four ways; the machine's clock may be set, so a step of a minute back only would be a fault. */
static void *clocks_real(void *argument)
{
	(void)argument;
	while (stress_running()) {
		long long before = __atomic_load_n(&clocks_latest_real, __ATOMIC_SEQ_CST), now;
		struct timeval day;
		time_t seconds;

		now = clocks_read(CLOCK_REALTIME, 0);
		if (now < before)
			stress_fail(&clocks_self, "CLOCK_REALTIME went back by %lld ns", before - now);
		gettimeofday(&day, NULL);
		if (day.tv_sec * 1000000LL + day.tv_usec < now / 1000)
			stress_fail(&clocks_self, "gettimeofday is behind");
		/* time() reads the coarse clock, which may be a little behind. */
		seconds = time(NULL);
		if (seconds < (now - 100000000) / 1000000000 || seconds > clocks_read(CLOCK_REALTIME, 0) / 1000000000)
			stress_fail(&clocks_self, "time() is off");
		clocks_raise(&clocks_latest_real, now);
		stress_progress(&clocks_self, 1);
	}
	return NULL;
}

/* CPU time is what the clock of the thread says, and never more than time that has passed. */
static void *clocks_spender(void *argument)
{
	(void)argument;
	while (stress_running()) {
		long long begin = clocks_read(CLOCK_MONOTONIC, 0), spent = clocks_read(CLOCK_THREAD_CPUTIME_ID, 0);
		struct rusage usage;

		for (volatile int i = 0; i < 20000; i++)
			;
		spent = clocks_read(CLOCK_THREAD_CPUTIME_ID, 0) - spent;
		if (spent <= 0 || spent > clocks_read(CLOCK_MONOTONIC, 0) - begin)
			stress_fail(&clocks_self, "%lld ns of CPU time", spent);
		STRESS_MUST(&clocks_self, getrusage(1 /* RUSAGE_THREAD */, &usage));
		if ((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >
		    clocks_read(CLOCK_THREAD_CPUTIME_ID, 0) / 1000 + 1)
			stress_fail(&clocks_self, "getrusage counts more than the clock");
		stress_progress(&clocks_self, 1);
	}
	return NULL;
}

static void clocks_body(void)
{
	for (long i = 0; i < 5; i++)
		stress_thread(&clocks_self, clocks_reader, (void *)i);
	for (long i = 0; i < 2; i++)
		stress_thread(&clocks_self, clocks_real, NULL);
	stress_thread(&clocks_self, clocks_spender, NULL);
	stress_join(&clocks_self);
}
