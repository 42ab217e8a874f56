/* conform: libs=-lpthread timeout=60 */
/* Setting the wall clock: sleeps and timers that wait for a time of it follow, those that wait for a duration do not, and
 * timerfd_settime(2) with TFD_TIMER_CANCEL_ON_SET tells. */
#include "../tst.h"
#include <sys/file.h>
#include <poll.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#define NS 1000000000LL
#define JUMP 3
#define MINUTE 60

#ifndef FUTEX_WAIT_BITSET
#define FUTEX_WAIT_BITSET 9
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_CLOCK_REALTIME 256
#endif

#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET 2
#endif

/* The clock is everybody's: only one program changes it at a time. */
static void lock_clock(int how)
{
	int fd = open("/tmp/conform-clock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || flock(fd, how))
		tst_brk("cannot lock /tmp/conform-clock: %s", tst_errno(errno));
}

static long long shift;

/* Whether the clock is ours alone: in a machine of one program, or if MOVE_CLOCK is set. Elsewhere others would notice, so that the time
 * is left to pass instead; the clock is set by a nanosecond, which makes timers look. */
static int moves;

/* Moves the clock, and remembers by how much. */
static int jump(long seconds)
{
	struct timex timex = { .modes = ADJ_SETOFFSET | ADJ_NANO, .time.tv_usec = 1 };
	struct timespec now;

	if (!moves) {
		sleep(seconds > 0 ? seconds : 0);
		return syscall(SYS_adjtimex, &timex) < 0 ? -1 : 0;
	}
	MUST(clock_gettime(CLOCK_REALTIME, &now));
	now.tv_sec += seconds;
	if (syscall(SYS_clock_settime, CLOCK_REALTIME, &now))
		return -1;
	shift += seconds;
	return 0;
}

static volatile int done[5];
static volatile sig_atomic_t signals;

static void handler(int signal)
{
	(void)signal;
	signals++;
}

static struct timespec until;

static void *sleeps(void *argument)
{
	(void)argument;
	done[0] = 1;
	done[1] = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0 ? 1 : -1;
	return NULL;
}

static void *waits(void *argument)
{
	unsigned word = 0;

	(void)argument;
	done[2] = 1;
	done[3] = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, 0, &until, NULL, -1) == -1 &&
				  errno == ETIMEDOUT
			  ? 1
			  : -1;
	return NULL;
}

static volatile int relative_done;

static void *sleeps_for_a_while(void *argument)
{
	struct timespec time = { MINUTE, 0 };

	(void)argument;
	clock_nanosleep(CLOCK_REALTIME, 0, &time, NULL);
	relative_done = 1;
	return NULL;
}

static int wait_for(const volatile int *what)
{
	for (int i = 0; i < 500 && !*what; i++)
		usleep(10000);
	return *what;
}

static int timer(int flags, long long value, long long interval)
{
	int fd = MUST(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
	struct itimerspec spec = { { interval / NS, interval % NS }, { value / NS, value % NS } };

	MUST(timerfd_settime(fd, flags, &spec, NULL));
	return fd;
}

static int is_ready(int fd, int ms)
{
	struct pollfd poll_fd = { fd, POLLIN, 0 };

	return poll(&poll_fd, 1, ms);
}

static void sleepers(void)
{
	pthread_t threads[3];
	long long start = tst_now(CLOCK_MONOTONIC);

	MUST(clock_gettime(CLOCK_REALTIME, &until));
	until.tv_sec += JUMP;
	if (pthread_create(&threads[0], NULL, sleeps, NULL) || pthread_create(&threads[1], NULL, waits, NULL) ||
	    pthread_create(&threads[2], NULL, sleeps_for_a_while, NULL))
		tst_brk("pthread_create");
	wait_for(&done[0]);
	wait_for(&done[2]);
	usleep(50000);
	CHECK(!done[1] && !done[3], "threads sleep, and wait for a futex, until a time");
	CHECK_OK(jump(JUMP));
	CHECK_EQ(wait_for(&done[1]), 1);
	CHECK_EQ(wait_for(&done[3]), 1);
	MUST(jump(-shift));
	CHECK(!moves || tst_now(CLOCK_MONOTONIC) - start < JUMP * NS, "the clock was set to that time, and they have woken");
	CHECK(!relative_done, "a sleep for a duration goes on");
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
}

static void timers(void)
{
	struct sigaction action = { .sa_handler = handler };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
	struct timespec now;
	int cancels, periodic, plain, relative, monotonic;
	uint64_t ticks = 0;
	timer_t posix;

	MUST(clock_gettime(CLOCK_REALTIME, &now));
	cancels = timer(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, (now.tv_sec + MINUTE) * NS, 0);
	periodic = timer(TFD_TIMER_ABSTIME, (now.tv_sec + JUMP) * NS, NS);
	plain = timer(TFD_TIMER_ABSTIME, (now.tv_sec + JUMP) * NS, 0);
	relative = timer(TFD_TIMER_CANCEL_ON_SET, MINUTE * NS, 0);
	monotonic = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	spec.it_value.tv_sec = MINUTE;
	MUST(timerfd_settime(monotonic, TFD_TIMER_CANCEL_ON_SET, &spec, NULL));
	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(timer_create(CLOCK_REALTIME, &event, &posix));
	spec.it_value = (struct timespec){ now.tv_sec + JUMP, 0 };
	MUST(timer_settime(posix, TIMER_ABSTIME, &spec, NULL));

	CHECK_OK(jump(0));
	CHECK_EQ(is_ready(cancels, 1000), 1);
	errno = 0;
	CHECK(read(cancels, &ticks, 8) == -1 && errno == ECANCELED, "the timer tells that the clock was set");
	CHECK_EQ(is_ready(cancels, 0), 0);
	CHECK_ERR(read(cancels, &ticks, 8), EAGAIN);
	CHECK_OK(jump(0));
	CHECK_EQ(is_ready(cancels, 1000), 1);
	spec.it_value = (struct timespec){ now.tv_sec + 2 * MINUTE, 0 };
	errno = 0;
	CHECK(timerfd_settime(cancels, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) == -1 && errno == ECANCELED,
	      "and so does setting it anew");
	CHECK_EQ(is_ready(cancels, 0), 0);
	CHECK_OK(timerfd_gettime(cancels, &spec));
	CHECK(spec.it_value.tv_sec > MINUTE, "it is set all the same");
	CHECK_EQ(is_ready(plain, 0), 0);
	CHECK_EQ(signals, 0);

	CHECK_OK(jump(JUMP));
	CHECK_EQ(is_ready(plain, 1000), 1);
	CHECK_EQ(read(plain, &ticks, 8), 8);
	CHECK_EQ(ticks, 1);
	CHECK_EQ(is_ready(periodic, 1000), 1);
	CHECK_EQ(read(periodic, &ticks, 8), 8);
	CHECK_OK(jump(2));
	CHECK_EQ(is_ready(periodic, 1000), 1);
	CHECK_EQ(read(periodic, &ticks, 8), 8);
	CHECK(ticks == 2 || ticks == 3, "an interval goes by the same clock");
	for (int i = 0; i < 500 && !signals; i++)
		usleep(1000);
	MUST(jump(-shift));
	CHECK_EQ(signals, 1);
	CHECK_EQ(is_ready(relative, 0), 0);
	CHECK_EQ(is_ready(monotonic, 0), 0);

	/* Back: a timer waits for longer. */
	plain = timer(TFD_TIMER_ABSTIME, tst_now(CLOCK_REALTIME) + NS / 5, 0);
	CHECK_OK(jump(-1));
	CHECK(!moves || !is_ready(plain, 500), "set back, it does not run out");
	CHECK_OK(jump(-shift));
	CHECK_EQ(is_ready(plain, 1000), 1);
	CHECK_EQ(is_ready(cancels, 1000), 1);
}

static void other_calls(void)
{
	struct timespec bad = { 0, NS }, good = { 1700000000, 0 };
	struct timex timex = { 0 };
	struct timeval day;

	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &bad), EINVAL);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_TAI, &good), EINVAL);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME_COARSE, &good), EINVAL);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, &good), EINVAL);
	CHECK_ERR(syscall(SYS_clock_settime, ~getpid() << 3 | 2, &good), EPERM);
	CHECK_ERR(syscall(SYS_clock_settime, 99, &good), EINVAL);
	good = (struct timespec){ 9000000000, 0 };
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &good), EINVAL);
	good = (struct timespec){ 0, 1 };
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &good), EINVAL);

	MUST(gettimeofday(&day, NULL));
	day.tv_sec += 2;
	CHECK(!moves || !syscall(SYS_settimeofday, &day, NULL), "settimeofday");
	if (!moves)
		sleep(2);
	CHECK(llabs(tst_now(CLOCK_REALTIME) / NS - day.tv_sec) <= 1, "settimeofday sets the clock");
	timex.modes = ADJ_SETOFFSET;
	timex.time.tv_sec = moves ? -2 : 0;
	CHECK(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &timex) >= 0, "ADJ_SETOFFSET moves the clock");
	CHECK(llabs(tst_now(CLOCK_REALTIME) / NS - (day.tv_sec - (moves ? 2 : 0))) <= 1, "and it is right again");
	day.tv_usec = 1000000;
	CHECK_ERR(syscall(SYS_settimeofday, &day, NULL), EINVAL);
}

int main(void)
{
	struct utsname name;

	MUST(uname(&name));
	moves = strstr(name.version, "Husk") || getenv("MOVE_CLOCK");
	lock_clock(LOCK_EX);
	if (jump(0))
		tst_conf("the clock cannot be set here: %s", tst_errno(errno));
	other_calls();
	sleepers();
	timers();
	fflush(stdout);
	_exit(tst_done());
}
