/* conform: libs=-lpthread timeout=60 */
/* Timerfds, periodic and once, read by blocking and through poll: no expiration comes early, none is counted twice or lost. */
#include "stress.h"
#include <poll.h>
#include <sys/timerfd.h>

STRESSOR(timerfds, 20)

static struct timespec timerfds_time(long long nanoseconds)
{
	return (struct timespec){ nanoseconds / 1000000000, nanoseconds % 1000000000 };
}

/* Counts the expirations of a periodic timer and compares with how often it can have expired. */
static void *timerfds_periodic(void *argument)
{
	long long period = 1000000 * (1 + (long)argument), begin = tst_now(CLOCK_MONOTONIC), end;
	int file = MUST(timerfd_create(CLOCK_MONOTONIC, (long)argument % 2 ? TFD_NONBLOCK : 0));
	struct itimerspec setting = { timerfds_time(period), timerfds_time(begin + period) };
	long long counted = 0;

	STRESS_MUST(&timerfds_self, timerfd_settime(file, TFD_TIMER_ABSTIME, &setting, NULL));
	do {
		struct pollfd entry = { file, POLLIN, 0 };
		uint64_t value = 0;

		if ((long)argument % 2) {
			if (poll(&entry, 1, 40000) != 1)
				stress_fail(&timerfds_self, "poll: no expiration");
		}
		if (STRESS_MUST(&timerfds_self, read(file, &value, 8)) != 8)
			break;
		counted += value;
		end = tst_now(CLOCK_MONOTONIC);
		if (counted > (end - begin) / period)
			stress_fail(&timerfds_self, "%lld expirations in %lld ns of %lld each", counted, end - begin, period);
		/* What was due when it was last read has been counted. */
		stress_progress(&timerfds_self, 1);
	} while (stress_running());
	/* One more read counts all that are due by then; a few more may follow. */
	if ((long)argument % 2 == 0) {
		uint64_t value = 0;
		long long due = (tst_now(CLOCK_MONOTONIC) - begin) / period;

		STRESS_MUST(&timerfds_self, read(file, &value, 8));
		if (counted + (long long)value < due)
			stress_fail(&timerfds_self, "%lld expirations of %lld", counted + (long long)value, due);
	}
	MUST(close(file));
	return NULL;
}

/* Timers that expire once, set again and again, some disarmed before. */
static void *timerfds_once(void *argument)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME };
	unsigned random = (long)argument + 1;
	clockid_t clock = clocks[(long)argument % 3];
	int file = MUST(timerfd_create(clock, 0));

	while (stress_running()) {
		long long wait = stress_random(&random) % 3000000 + 1, begin = tst_now(clock), end;
		struct itimerspec setting = { { 0, 0 }, timerfds_time(wait) }, old;
		uint64_t value = 0;

		STRESS_MUST(&timerfds_self, timerfd_settime(file, 0, &setting, NULL));
		if (random % 4 == 0) {
			setting.it_value = timerfds_time(0);
			STRESS_MUST(&timerfds_self, timerfd_settime(file, 0, &setting, &old));
			if (old.it_value.tv_sec || old.it_value.tv_nsec > wait)
				stress_fail(&timerfds_self, "more time is left than was set");
			continue;
		}
		STRESS_MUST(&timerfds_self, read(file, &value, 8));
		end = tst_now(clock);
		if (value != 1)
			stress_fail(&timerfds_self, "a timer expired %ld times at once", (long)value);
		if (end < begin + wait && clock != CLOCK_REALTIME)
			stress_fail(&timerfds_self, "a timer expired %lld ns early", begin + wait - end);
		stress_progress(&timerfds_self, 1);
	}
	MUST(close(file));
	return NULL;
}

static void timerfds_body(void)
{
	for (long i = 0; i < 4; i++)
		stress_thread(&timerfds_self, timerfds_periodic, (void *)i);
	for (long i = 0; i < 6; i++)
		stress_thread(&timerfds_self, timerfds_once, (void *)i);
	stress_join(&timerfds_self);
}
