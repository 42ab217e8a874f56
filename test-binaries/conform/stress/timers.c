/* conform: libs=-lpthread timeout=60 */
/* POSIX timers that signal threads: with their overruns they expire as often as time says, never early; sleeps are never short. */
#include "stress.h"

STRESSOR(timers, 20)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Each thread has a timer of its own that signals it alone. */
static void *timers_thread(void *argument)
{
	long period = 1000000 + 700000 * (long)argument;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + STRESS_SIG_TIMER };
	struct itimerspec setting = { { 0, period }, { 0, period } };
	struct timespec patience = { 40, 0 };
	long long begin, started, counted = 0;
	sigset_t set;
	/* The kernel's own call: what it gives as the id is small and fits. */
	int timer;

	event.sigev_value.sival_int = 100 + (long)argument;
	event.sigev_notify_thread_id = syscall(SYS_gettid);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + STRESS_SIG_TIMER);
	if (STRESS_MUST(&timers_self, syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer)))
		return NULL;
	begin = tst_now(CLOCK_MONOTONIC);
	STRESS_MUST(&timers_self, syscall(SYS_timer_settime, timer, 0, &setting, NULL));
	/* It may have been set much later than it seemed to be, and much earlier than this. */
	started = tst_now(CLOCK_MONOTONIC);
	do {
		siginfo_t info;
		long long now, due = (tst_now(CLOCK_MONOTONIC) - started) / period;

		if (STRESS_MUST(&timers_self, sigtimedwait(&set, &info, &patience)) < 0)
			break;
		now = tst_now(CLOCK_MONOTONIC);
		if (info.si_code != SI_TIMER || info.si_value.sival_int != 100 + (long)argument)
			stress_fail(&timers_self, "a signal is not this timer's");
		if (info.si_overrun < 0)
			stress_fail(&timers_self, "overrun %d", info.si_overrun);
		counted += 1 + info.si_overrun;
		if (counted > (now - begin) / period)
			stress_fail(&timers_self, "%lld expirations in %lld ns of %ld each", counted, now - begin, period);
		/* The last may just be on its way. */
		if (counted + 1 < due)
			stress_fail(&timers_self, "%lld expirations of %lld", counted, due);
		stress_progress(&timers_self, 1);
	} while (stress_running());
	STRESS_MUST(&timers_self, syscall(SYS_timer_delete, timer));
	return NULL;
}

/* Many timers made, armed and deleted, whether they have expired or not. */
static void *timers_maker(void *argument)
{
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		struct sigevent event = { .sigev_notify = SIGEV_NONE };
		int timers[8];

		for (int i = 0; i < 8; i++) {
			struct itimerspec setting = { { 0, 100000 }, { 0, stress_random(&random) % 300000 + 1 } }, now;

			STRESS_MUST(&timers_self, syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timers[i]));
			STRESS_MUST(&timers_self, syscall(SYS_timer_settime, timers[i], 0, &setting, NULL));
			STRESS_MUST(&timers_self, syscall(SYS_timer_gettime, timers[i], &now));
			if (now.it_value.tv_sec || now.it_value.tv_nsec > 300000)
				stress_fail(&timers_self, "more time is left than was set");
		}
		stress_sleep(200000);
		for (int i = 0; i < 8; i++)
			STRESS_MUST(&timers_self, syscall(SYS_timer_delete, timers[i]));
		stress_progress(&timers_self, 8);
	}
	return NULL;
}

static void *timers_sleeper(void *argument)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };
	clockid_t clock = clocks[(long)argument % 2];
	unsigned random = (long)argument + 50;

	while (stress_running()) {
		long long begin = tst_now(clock), wait = stress_random(&random) % 2000000, end;
		struct timespec time = { 0, wait };
		int error;

		if (random & 4096) {
			time = (struct timespec){ (begin + wait) / 1000000000, (begin + wait) % 1000000000 };
			error = clock_nanosleep(clock, TIMER_ABSTIME, &time, NULL);
		} else {
			error = clock_nanosleep(clock, 0, &time, NULL);
		}
		end = tst_now(clock);
		STRESS_ZERO(&timers_self, error);
		if (end < begin + wait)
			stress_fail(&timers_self, "a sleep was %lld ns short", begin + wait - end);
		stress_progress(&timers_self, 1);
	}
	return NULL;
}

static void timers_body(void)
{
	for (long i = 0; i < 4; i++)
		stress_thread(&timers_self, timers_thread, (void *)i);
	for (long i = 0; i < 2; i++)
		stress_thread(&timers_self, timers_maker, (void *)i);
	for (long i = 0; i < 6; i++)
		stress_thread(&timers_self, timers_sleeper, (void *)i);
	stress_join(&timers_self);
}
