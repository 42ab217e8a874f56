/* conform: libs=-lpthread timeout=30 */
/* CPU time of processes and threads, in user mode and in the kernel: getrusage(2), times(2), /proc/self/stat, the clocks of
 * clock_getcpuclockid(3); and what goes by it with several threads at once: setitimer(2), clock_nanosleep(2), RLIMIT_CPU. */
#include "../tst.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

#define MS 1000000LL

/* The clock of a process or a thread (bit 2), of CPU time (0), of that in user mode (1), or of the scheduler (2). */
#define CPU_CLOCK(id, bits) ((clockid_t)(~(unsigned)(id) << 3 | (bits)))

static long long of(struct timeval time)
{
	return time.tv_sec * 1000000000LL + time.tv_usec * 1000LL;
}

static void spin(long long ns)
{
	long long end = tst_now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (tst_now(CLOCK_THREAD_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 2000; i++)
			;
}

static void call(long long ns)
{
	static char buffer[1 << 20];
	int fd = MUST(open("/dev/zero", O_RDONLY));
	long long end = tst_now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (tst_now(CLOCK_THREAD_CPUTIME_ID) < end)
		if (read(fd, buffer, sizeof(buffer)) != sizeof(buffer))
			tst_brk("read /dev/zero");
	close(fd);
}

static void one_thread(void)
{
	struct rusage before, after, thread, children;
	struct tms ticks;
	char text[1024], *at;
	unsigned long user, system;
	long long used;

	MUST(getrusage(RUSAGE_SELF, &before));
	spin(300 * MS);
	MUST(getrusage(RUSAGE_SELF, &after));
	used = of(after.ru_utime) - of(before.ru_utime);
	CHECK(used > 200 * MS, "computing is time in user mode");
	CHECK(of(after.ru_stime) - of(before.ru_stime) < used, "and not in the kernel");
	before = after;
	call(300 * MS);
	MUST(getrusage(RUSAGE_SELF, &after));
	used = of(after.ru_stime) - of(before.ru_stime);
	CHECK(used > 200 * MS, "reading zeros is time in the kernel");
	CHECK(of(after.ru_utime) - of(before.ru_utime) < used, "and not in user mode");
	MUST(getrusage(RUSAGE_THREAD, &thread));
	CHECK(of(thread.ru_utime) > 200 * MS && of(thread.ru_stime) > 200 * MS, "the same for the thread");
	MUST(getrusage(RUSAGE_CHILDREN, &children));
	CHECK(!of(children.ru_utime) && !of(children.ru_stime), "there were no children");

	CHECK(times(&ticks) > 0, "times gives a time");
	CHECK(ticks.tms_utime >= 20 && ticks.tms_stime >= 20, "times tells both apart");
	CHECK(!ticks.tms_cutime && !ticks.tms_cstime, "no children");
	tst_read_file("/proc/self/stat", text, sizeof(text));
	at = strrchr(text, ')');
	user = system = 0;
	if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		tst_brk("/proc/self/stat: %s", text);
	CHECK(user >= 20 && system >= 20, "/proc/self/stat tells both apart");
}

static void clocks(void)
{
	pid_t pid = getpid();
	long long all = tst_now(CLOCK_PROCESS_CPUTIME_ID), user = tst_now(CPU_CLOCK(0, 1)), both = tst_now(CPU_CLOCK(0, 0));
	struct timespec time;

	/* Linux counts user time in ticks, by what runs when one comes. */
	CHECK(user > 50 * MS && user < both, "the clock of user time is behind that of CPU time");
	CHECK(all > 50 * MS, "that of the scheduler goes, too");
	CHECK(llabs(tst_now(CPU_CLOCK(pid, 2)) - tst_now(CLOCK_PROCESS_CPUTIME_ID)) < 100 * MS, "the process by its id");
	CHECK(llabs(tst_now(CPU_CLOCK(pid, 6)) - tst_now(CLOCK_THREAD_CPUTIME_ID)) < 100 * MS, "the thread by its id");
	CHECK(llabs(tst_now(CPU_CLOCK(0, 5)) - user) < 200 * MS, "the thread's user time");
	CHECK_ERR(syscall(SYS_clock_gettime, CPU_CLOCK(0, 3), &time), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, CPU_CLOCK(999999, 2), &time), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, CPU_CLOCK(1, 6), &time), EINVAL);
	MUST(syscall(SYS_clock_getres, CLOCK_PROCESS_CPUTIME_ID, &time));
	CHECK_EQ(time.tv_nsec, 1);
	MUST(syscall(SYS_clock_getres, CPU_CLOCK(0, 2), &time));
	CHECK_EQ(time.tv_nsec, 1);
	MUST(syscall(SYS_clock_getres, CPU_CLOCK(0, 1), &time));
	CHECK(time.tv_nsec >= 1000000 && time.tv_nsec <= 10000000, "user time is counted in ticks");

	time = (struct timespec){ 0, 1 };
	CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL) == -1 ? errno : 0, EOPNOTSUPP);
	CHECK_EQ(syscall(SYS_clock_nanosleep, CPU_CLOCK(0, 6), 0, &time, NULL) == -1 ? errno : 0, EINVAL);
	CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &time, NULL) == -1 ? errno : 0, EOPNOTSUPP);
	CHECK_EQ(syscall(SYS_clock_nanosleep, 99, 0, &time, NULL) == -1 ? errno : 0, EINVAL);
}

static volatile int stop;
static volatile sig_atomic_t signals;
static volatile long long at_signal;

static void handler(int signal)
{
	(void)signal;
	signals++;
}

static void *spinner(void *argument)
{
	(void)argument;
	while (!stop)
		for (volatile int i = 0; i < 2000; i++)
			;
	return NULL;
}

static void with_threads(int signal, int which)
{
	struct sigaction action = { .sa_handler = handler };
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, old;
	pthread_t threads[3];
	long long start, used;

	MUST(sigaction(signal, &action, NULL));
	stop = signals = 0;
	start = tst_now(CLOCK_PROCESS_CPUTIME_ID);
	MUST(setitimer(which, &often, NULL));
	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, spinner, NULL))
			tst_brk("pthread_create");
	for (int i = 0; i < 1000 && signals < 8; i++)
		usleep(5000);
	used = tst_now(CLOCK_PROCESS_CPUTIME_ID) - start;
	CHECK(signals >= 8, "a timer by CPU time sends signals as several threads use it up");
	CHECK(used >= signals * 10 * MS, "no faster than that is used up");
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	MUST(getitimer(which, &old));
	CHECK(old.it_interval.tv_usec == 20000 && old.it_value.tv_usec > 0, "the timer goes on");
	signals = 0;
	usleep(100000);
	CHECK(signals <= 2, "but not while all sleep");
	signals = 0;
	for (int i = 0; i < 100 && !signals; i++)
		spin(10 * MS);
	CHECK(signals >= 1, "it wakes with them");
	memset(&often, 0, sizeof(often));
	MUST(setitimer(which, &often, NULL));
}

static void sleep_of_others(void)
{
	struct timespec time = { 0, 50 * MS };
	pthread_t thread;
	long long start;

	stop = 0;
	if (pthread_create(&thread, NULL, spinner, NULL))
		tst_brk("pthread_create");
	start = tst_now(CLOCK_PROCESS_CPUTIME_ID);
	CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &time, NULL), 0);
	CHECK(tst_now(CLOCK_PROCESS_CPUTIME_ID) - start >= 50 * MS, "a sleep until others have used up CPU time");
	stop = 1;
	pthread_join(thread, NULL);
}

static void over_limit(int signal)
{
	(void)signal;
	if (!signals++)
		at_signal = tst_now(CPU_CLOCK(0, 0));
}

static void limit(void)
{
	struct sigaction action = { .sa_handler = over_limit };
	struct rlimit limit;
	rlim_t wanted = tst_now(CPU_CLOCK(0, 0)) / 1000000000 + 1;

	MUST(sigaction(SIGXCPU, &action, NULL));
	signals = 0;
	MUST(getrlimit(RLIMIT_CPU, &limit));
	CHECK(limit.rlim_cur == RLIM_INFINITY, "there is no limit at first");
	limit.rlim_cur = wanted;
	MUST(setrlimit(RLIMIT_CPU, &limit));
	for (int i = 0; i < 1000 && !signals; i++)
		spin(10 * MS);
	CHECK_EQ(signals, 1);
	CHECK(at_signal >= (long long)wanted * 1000000000 - 200 * MS, "SIGXCPU comes when the limit is reached");
	MUST(getrlimit(RLIMIT_CPU, &limit));
	CHECK(limit.rlim_cur == wanted + 1, "then the limit is a second more");
	limit.rlim_cur = RLIM_INFINITY;
	MUST(setrlimit(RLIMIT_CPU, &limit));
}

int main(void)
{
	one_thread();
	clocks();
	with_threads(SIGPROF, ITIMER_PROF);
	with_threads(SIGVTALRM, ITIMER_VIRTUAL);
	sleep_of_others();
	limit();
	return tst_done();
}
