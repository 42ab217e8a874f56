/* conform: libs=-lpthread */
/* POSIX timers in full: ids, clocks, SIGEV_*, absolute times, overruns and what timer_gettime(2) says while a signal waits, ignored signals,
 * deletion with a signal on its way, several timers with one signal, CPU-time timers, limits. */
#include "../tst.h"
#include <pthread.h>
#include <sys/resource.h>

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

typedef int kernel_timer;

static long create(clockid_t clock, int notify, int signal, int value, pid_t tid, kernel_timer *timer)
{
	/* As the kernel has it: C libraries differ in the names of the thread's id. */
	struct {
		long value;
		int signal, notify, tid, padding[11];
	} event = { value, signal, notify, tid, { 0 } };

	return syscall(SYS_timer_create, clock, &event, timer);
}

static long set(kernel_timer timer, int flags, long long value, long long interval, struct itimerspec *old)
{
	struct itimerspec new = { { interval / 1000000000, interval % 1000000000 }, { value / 1000000000, value % 1000000000 } };

	return syscall(SYS_timer_settime, timer, flags, &new, old);
}

static long long left(kernel_timer timer)
{
	struct itimerspec now = { { -1, -1 }, { -1, -1 } };

	MUST(syscall(SYS_timer_gettime, timer, &now));
	return now.it_value.tv_sec * 1000000000LL + now.it_value.tv_nsec;
}

static void nap(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&time, &time))
		;
}

static void spin(long ms)
{
	long long end = tst_now(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000LL;

	while (tst_now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static int take(const sigset_t *set, siginfo_t *info, long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	return sigtimedwait(set, info, &time);
}

static volatile sig_atomic_t handled, handled_by;

static void handler(int signal)
{
	(void)signal;
	handled++;
	handled_by = syscall(SYS_gettid);
}

static volatile int stop;
static volatile pid_t spinner_tid;

static void *spinner(void *argument)
{
	(void)argument;
	spinner_tid = syscall(SYS_gettid);
	while (!stop)
		;
	return NULL;
}

static void errors(void)
{
	kernel_timer timer;
	struct itimerspec spec = { { 0, 0 }, { 0, 1 } };

	CHECK_ERR(create(CLOCK_MONOTONIC, 99, SIGUSR1, 0, 0, &timer), EINVAL);
	CHECK_ERR(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, 0, 0, 0, &timer), EINVAL);
	CHECK_ERR(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, 65, 0, 0, &timer), EINVAL);
	CHECK_ERR(create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGUSR1, 0, 1, &timer), EINVAL);
	CHECK_ERR(create(CLOCK_MONOTONIC_RAW, SIGEV_SIGNAL, SIGUSR1, 0, 0, &timer), EOPNOTSUPP);
	CHECK_ERR(create(CLOCK_MONOTONIC_COARSE, SIGEV_SIGNAL, SIGUSR1, 0, 0, &timer), EOPNOTSUPP);
	CHECK_ERR(create(77, SIGEV_SIGNAL, SIGUSR1, 0, 0, &timer), EINVAL);
	CHECK_ERR(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, 0, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, TST_BAD, &timer), EFAULT);
	CHECK_ERR(syscall(SYS_timer_settime, 12345, 0, &spec, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_timer_gettime, 12345, &spec), EINVAL);
	CHECK_ERR(syscall(SYS_timer_getoverrun, 12345), EINVAL);
	CHECK_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
	CHECK_EQ(create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0, &timer), 0);
	CHECK_ERR(syscall(SYS_timer_settime, timer, 0, NULL, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_timer_settime, timer, 0, TST_BAD, NULL), EFAULT);
	CHECK_ERR(set(timer, 0, 5, -1, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_timer_gettime, timer, TST_BAD), EFAULT);
	CHECK_OK(syscall(SYS_timer_delete, timer));
	CHECK_ERR(syscall(SYS_timer_delete, timer), EINVAL);
}

static void clocks(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI };
	kernel_timer timer;
	siginfo_t info;
	sigset_t set_of;

	sigemptyset(&set_of);
	sigaddset(&set_of, SIGRTMIN + 1);
	MUST(sigprocmask(SIG_BLOCK, &set_of, NULL));
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		long long before = tst_now(ids[i]);

		CHECK_EQ(create(ids[i], SIGEV_SIGNAL, SIGRTMIN + 1, 5 + i, 0, &timer), 0);
		CHECK_EQ(set(timer, TIMER_ABSTIME, before + 20000000, 0, NULL), 0);
		CHECK_EQ(take(&set_of, &info, 5000), SIGRTMIN + 1);
		CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 5 + (int)i && info.si_overrun == 0, "the signal's data");
		CHECK(tst_now(ids[i]) >= before + 20000000, "not too early");
		CHECK_EQ(left(timer), 0);
		CHECK_EQ(set(timer, TIMER_ABSTIME, before, 0, NULL), 0);
		CHECK_EQ(take(&set_of, &info, 5000), SIGRTMIN + 1);
		CHECK_EQ(set(timer, 0, 20000000, 0, NULL), 0);
		CHECK_EQ(take(&set_of, &info, 5000), SIGRTMIN + 1);
		MUST(syscall(SYS_timer_delete, timer));
	}
}

static void overruns(void)
{
	struct itimerspec old;
	kernel_timer timer, other;
	siginfo_t info;
	sigset_t set_of;
	long long rest;
	int first;

	sigemptyset(&set_of);
	sigaddset(&set_of, SIGRTMIN + 1);
	sigaddset(&set_of, SIGUSR2);
	MUST(sigprocmask(SIG_BLOCK, &set_of, NULL));
	CHECK_EQ(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 1, 0, &timer), 0);
	CHECK_EQ(set(timer, 0, 10000000, 10000000, NULL), 0);
	nap(65);
	CHECK_EQ(syscall(SYS_timer_getoverrun, timer), 0);
	rest = left(timer);
	CHECK(rest > 0 && rest <= 10000000, "while the signal waits, the time to the next one is told");
	CHECK_EQ(take(&set_of, &info, 5000), SIGRTMIN + 1);
	CHECK(info.si_overrun >= 4 && info.si_overrun < 500, "the times that passed are in the signal");
	first = info.si_overrun;
	CHECK(syscall(SYS_timer_getoverrun, timer) == first, "and timer_getoverrun says the same");
	CHECK_EQ(take(&set_of, &info, 5000), SIGRTMIN + 1);
	CHECK(info.si_overrun < first, "then it goes on by its interval");

	/* Setting it takes back a signal that waits. */
	nap(30);
	CHECK_EQ(set(timer, 0, 3600000000000, 0, &old), 0);
	CHECK(old.it_interval.tv_nsec == 10000000 && old.it_value.tv_nsec <= 10000000, "what it was set to");
	CHECK_ERR(take(&set_of, &info, 1), EAGAIN);
	CHECK_EQ(syscall(SYS_timer_getoverrun, timer), 0);
	CHECK_EQ(set(timer, 0, 0, 5000000, &old), 0);
	CHECK(old.it_value.tv_sec >= 3590, "an hour was left");
	CHECK_EQ(set(timer, 0, 0, 0, &old), 0);
	CHECK(!old.it_interval.tv_nsec && !old.it_value.tv_nsec, "a timer that is off has no interval");

	/* So does deleting it. */
	CHECK_EQ(set(timer, 0, 1000000, 0, NULL), 0);
	nap(20);
	MUST(syscall(SYS_timer_delete, timer));
	CHECK_ERR(take(&set_of, &info, 1), EAGAIN);

	/* Two timers with one standard signal: both come. */
	CHECK_EQ(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 1, 0, &timer), 0);
	CHECK_EQ(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 2, 0, &other), 0);
	CHECK_EQ(set(timer, 0, 1000000, 0, NULL), 0);
	CHECK_EQ(set(other, 0, 2000000, 0, NULL), 0);
	nap(30);
	CHECK_EQ(take(&set_of, &info, 5000), SIGUSR2);
	first = info.si_value.sival_int;
	CHECK_EQ(take(&set_of, &info, 5000), SIGUSR2);
	CHECK(first + info.si_value.sival_int == 3, "a signal from each");
	CHECK_ERR(take(&set_of, &info, 1), EAGAIN);
	MUST(syscall(SYS_timer_delete, timer));
	MUST(syscall(SYS_timer_delete, other));

	/* SIGEV_NONE only counts. */
	CHECK_EQ(create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0, &timer), 0);
	CHECK_EQ(set(timer, 0, 5000000, 0, NULL), 0);
	rest = left(timer);
	CHECK(rest > 0 && rest <= 5000000, "what is left");
	nap(20);
	CHECK_EQ(left(timer), 0);
	CHECK_EQ(set(timer, 0, 5000000, 7000000, NULL), 0);
	nap(40);
	rest = left(timer);
	CHECK(rest > 0 && rest <= 7000000, "what is left of the interval");
	CHECK_EQ(syscall(SYS_timer_getoverrun, timer), 0);
	MUST(syscall(SYS_timer_delete, timer));
}

static void ignored(void)
{
	struct sigaction action = { .sa_handler = handler };
	kernel_timer timer;

	handled = 0;
	signal(SIGRTMIN + 2, SIG_IGN);
	CHECK_EQ(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 2, 1, 0, &timer), 0);
	CHECK_EQ(set(timer, 0, 2000000, 2000000, NULL), 0);
	nap(20);
	MUST(sigaction(SIGRTMIN + 2, &action, NULL));
	for (int i = 0; i < 500 && handled < 2; i++)
		nap(10);
	CHECK(handled >= 2, "a timer goes on when its signal is no longer ignored");
	MUST(syscall(SYS_timer_delete, timer));
}

static void threads(void)
{
	struct sigaction action = { .sa_handler = handler };
	kernel_timer timer, cpu;
	pthread_t thread;
	clockid_t clock;
	long long before;
	pid_t self = syscall(SYS_gettid);

	MUST(sigaction(SIGRTMIN + 3, &action, NULL));
	if (pthread_create(&thread, NULL, spinner, NULL))
		tst_brk("pthread_create");
	while (!spinner_tid)
		nap(1);
	handled = handled_by = 0;
	CHECK_EQ(create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 3, 1, spinner_tid, &timer), 0);
	CHECK_EQ(set(timer, 0, 1000000, 0, NULL), 0);
	for (int i = 0; i < 500 && !handled; i++)
		nap(10);
	CHECK(handled_by == spinner_tid, "SIGEV_THREAD_ID: the signal goes to that thread");
	MUST(syscall(SYS_timer_delete, timer));

	/* CPU time of the other thread, of the process, and of this thread, which sleeps. */
	pthread_getcpuclockid(thread, &clock);
	handled = handled_by = 0;
	CHECK_EQ(create(clock, SIGEV_THREAD_ID, SIGRTMIN + 3, 1, self, &cpu), 0);
	before = tst_now(clock);
	CHECK_EQ(set(cpu, 0, 20000000, 0, NULL), 0);
	for (int i = 0; i < 500 && !handled; i++)
		nap(10);
	CHECK(handled == 1 && handled_by == self && tst_now(clock) >= before + 20000000, "a timer by another thread's CPU time");
	MUST(syscall(SYS_timer_delete, cpu));
	handled = 0;
	CHECK_EQ(create(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 3, 1, 0, &cpu), 0);
	before = tst_now(CLOCK_PROCESS_CPUTIME_ID);
	CHECK_EQ(set(cpu, TIMER_ABSTIME, before + 20000000, 10000000, NULL), 0);
	for (int i = 0; i < 500 && handled < 3; i++)
		nap(10);
	CHECK(handled >= 3 && tst_now(CLOCK_PROCESS_CPUTIME_ID) >= before + 40000000, "one by the process's, again and again");
	MUST(syscall(SYS_timer_delete, cpu));
	stop = 1;
	pthread_join(thread, NULL);

	handled = 0;
	CHECK_EQ(create(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 3, 1, 0, &cpu), 0);
	CHECK_EQ(set(cpu, 0, 20000000, 0, NULL), 0);
	nap(60);
	CHECK_EQ(handled, 0);
	spin(40);
	for (int i = 0; i < 100 && !handled; i++)
		spin(5);
	CHECK_EQ(handled, 1);
	CHECK_EQ(left(cpu), 0);
	MUST(syscall(SYS_timer_delete, cpu));
}

static void many(void)
{
	struct rlimit limit = { 3, 3 }, before;
	kernel_timer timers[4];
	int created = 0;

	MUST(getrlimit(RLIMIT_SIGPENDING, &before));
	limit.rlim_max = before.rlim_max;
	MUST(setrlimit(RLIMIT_SIGPENDING, &limit));
	while (created < 4 && create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, 0, &timers[created]) == 0)
		created++;
	CHECK(created < 4 && errno == EAGAIN, "RLIMIT_SIGPENDING limits timers");
	while (created--)
		MUST(syscall(SYS_timer_delete, timers[created]));
	MUST(setrlimit(RLIMIT_SIGPENDING, &before));
}

int main(void)
{
	errors();
	clocks();
	overruns();
	ignored();
	threads();
	many();
	return tst_done();
}
