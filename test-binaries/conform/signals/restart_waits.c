/* conform: libs=-lpthread timeout=30 */
/* Which calls that wait for futexes, events, time and signals go on after a signal, by restart.h's table (two seconds), and what is left of their timeouts. */
#include "restart.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif

/* Operations of futex(2), private. */
enum { WAIT = 128, WAKE = 129, LOCK_PI = 134, UNLOCK_PI = 135, WAIT_BITSET = 137, WAIT_REQUEUE_PI = 139, CMP_REQUEUE_PI = 140, LOCK_PI2 = 141 };

struct waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};

#define NANOS(time) ((time).tv_sec * 1000000000LL + (time).tv_nsec)

static struct timespec at(clockid_t clock, struct timespec time)
{
	long long then = tst_now(clock) + NANOS(time);

	return (struct timespec){ then / 1000000000, then % 1000000000 };
}

/* It must have ended at its timeout. */
static void check_time(struct call *call, bool interrupted)
{
	long long took = call->end - call->start, asked = NANOS(call->asked);

	if (interrupted || call->errno_after == EINTR)
		return;
	/* One that had begun anew would have taken this long. */
	if (took < asked || (call->stopped && took >= call->stopped - call->start + asked)) {
		tst_info("%s took %lld ms, not %lld", call->is->name, took / 1000000, asked / 1000000);
		call->wrong = true;
	}
}

/* Or before it, and then what was left must be right. */
static void check_left(struct call *call, bool interrupted)
{
	long long took = call->end - call->start, asked = NANOS(call->asked), left = NANOS(call->left);

	check_time(call, interrupted);
	if (!interrupted && call->errno_after != EINTR)
		return;
	/* select(2) counts in microseconds. */
	if (left > asked || left < asked - took - 1000) {
		tst_info("%s: %lld us left of %lld after %lld", call->is->name, left / 1000, asked / 1000, took / 1000);
		call->wrong = true;
	}
}

/* The same where the call changes its timeout even if that is over. */
static void check_changed(struct call *call, bool interrupted)
{
	check_left(call, interrupted);
	if (!interrupted && call->errno_after != EINTR && NANOS(call->left))
		call->wrong = true;
}

/* For calls that go on after a handler: a timeout, but one that does not come. */
enum { LATER = 1024 };
static const struct timespec later = { 60, 0 };

static long do_futex(struct call *call)
{
	uint32_t *word = &call->word[0];
	int operation = call->number & ~LATER;
	struct timespec time = call->number & LATER ? later : call->timeout;
	struct timespec *timeout = call->is->check || call->number & LATER ? &time : NULL;

	if (operation == LOCK_PI)
		time = at(CLOCK_REALTIME, time);
	else if (operation != WAIT)
		time = at(CLOCK_MONOTONIC, time);
	return syscall(SYS_futex, word, operation, 0, timeout, &call->word[1], -1);
}

static void own_the_lock(struct call *call)
{
	call->word[0] = syscall(SYS_gettid);
}

static void unlock(struct call *call)
{
	MUST(syscall(SYS_futex, &call->word[0], UNLOCK_PI, 0, NULL, NULL, 0));
}

static void wake(struct call *call)
{
	MUST(syscall(SYS_futex, &call->word[0], WAKE, 1, NULL, NULL, 0));
}

static void requeue(struct call *call)
{
	MUST(syscall(SYS_futex, &call->word[0], CMP_REQUEUE_PI, 1, 0L, &call->word[1], 0));
}

static long do_futex_waitv(struct call *call)
{
	struct waitv list[2] = { { 0, (uintptr_t)&call->word[1], 2 | 128, 0 }, { 0, (uintptr_t)&call->word[0], 2 | 128, 0 } };
	struct timespec time = at(CLOCK_MONOTONIC, later);

	return syscall(SYS_futex_waitv, list, 2, 0, call->number ? &time : NULL, CLOCK_MONOTONIC);
}

static long do_futex_wait(struct call *call)
{
	struct timespec time = at(CLOCK_MONOTONIC, later);

	return syscall(SYS_futex_wait, &call->word[0], 0L, 0xffffffffL, 2 | 128, call->number ? &time : NULL, CLOCK_MONOTONIC);
}

static void event(struct call *call)
{
	struct epoll_event event = { .events = EPOLLIN };

	call->fd[0] = MUST(eventfd(0, 0));
	call->fd[1] = MUST(epoll_create1(0));
	MUST(epoll_ctl(call->fd[1], EPOLL_CTL_ADD, call->fd[0], &event));
}

static void event_and_fixed_timeout(struct call *call)
{
	event(call);
	call->memory = mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (call->memory == MAP_FAILED)
		tst_brk("mmap");
	*(struct timespec *)call->memory = call->timeout;
	MUST(mprotect(call->memory, TST_PAGE, PROT_READ));
}

static void put(struct call *call)
{
	uint64_t one = 1;

	MUST(write(call->fd[0], &one, 8));
}

static long do_poll(struct call *call)
{
	struct pollfd one = { .fd = call->fd[0], .events = POLLIN };
	int millis = call->is->check ? NANOS(call->timeout) / 1000000 : -1;

	return syscall(SYS_poll, &one, 1L, millis);
}

static long do_ppoll(struct call *call)
{
	struct pollfd one = { .fd = call->fd[0], .events = POLLIN };
	struct timespec *timeout = call->memory ? call->memory : call->is->check ? &call->timeout : NULL;
	uint64_t mask = 0;
	long result = syscall(SYS_ppoll, &one, 1L, timeout, &mask, 8L);

	call->left = call->timeout;
	return result;
}

static long do_select(struct call *call)
{
	struct timeval time = { call->timeout.tv_sec, call->timeout.tv_nsec / 1000 };
	fd_set set;
	long result;

	FD_ZERO(&set);
	FD_SET(call->fd[0], &set);
	result = syscall(SYS_select, (long)call->fd[0] + 1, &set, NULL, NULL, call->is->check ? &time : NULL);
	call->left = (struct timespec){ time.tv_sec, time.tv_usec * 1000 };
	return result;
}

static long do_pselect(struct call *call)
{
	struct timespec *timeout = call->memory ? call->memory : call->is->check ? &call->timeout : NULL;
	uint64_t mask = 0;
	struct {
		uint64_t *mask;
		size_t size;
	} masks = { &mask, 8 };
	fd_set set;
	long result;

	FD_ZERO(&set);
	FD_SET(call->fd[0], &set);
	result = syscall(SYS_pselect6, (long)call->fd[0] + 1, &set, NULL, NULL, timeout, &masks);
	call->left = call->timeout;
	return result;
}

static long do_epoll(struct call *call)
{
	struct epoll_event event;
	struct timespec *timeout = call->is->check ? &call->timeout : NULL;
	int millis = call->is->check ? NANOS(call->timeout) / 1000000 : -1;
	uint64_t mask = 0;

	if (call->number == SYS_epoll_wait)
		return syscall(SYS_epoll_wait, call->fd[1], &event, 1, millis);
	if (call->number == SYS_epoll_pwait)
		return syscall(SYS_epoll_pwait, call->fd[1], &event, 1, millis, &mask, 8L);
	return syscall(SYS_epoll_pwait2, call->fd[1], &event, 1, timeout, &mask, 8L);
}

static long do_nanosleep(struct call *call)
{
	return syscall(SYS_nanosleep, &call->timeout, &call->left);
}

static long do_clock_nanosleep(struct call *call)
{
	return syscall(SYS_clock_nanosleep, (int)call->number, 0, &call->timeout, &call->left);
}

static long do_clock_nanosleep_until(struct call *call)
{
	struct timespec time = at(call->number, call->timeout);
	long result;

	/* The rest of the time is not given. */
	call->left = (struct timespec){ 7, 7 };
	result = syscall(SYS_clock_nanosleep, (int)call->number, TIMER_ABSTIME, &time, &call->left);
	if (call->left.tv_sec != 7 || call->left.tv_nsec != 7)
		call->wrong = true;
	return result;
}

static long do_pause(struct call *call)
{
	(void)call;
	return syscall(SYS_pause);
}

static long do_sigsuspend(struct call *call)
{
	uint64_t mask = 0;

	(void)call;
	return syscall(SYS_rt_sigsuspend, &mask, 8L);
}

static long do_sigtimedwait(struct call *call)
{
	uint64_t set = 1 << (SIGUSR2 - 1);

	return syscall(SYS_rt_sigtimedwait, &set, NULL, call->is->check ? &call->timeout : NULL, 8L);
}

static void handle_another(struct call *call)
{
	MUST(syscall(SYS_tgkill, getpid(), call->tid, SIGRTMIN));
}

static void send_the_awaited(struct call *call)
{
	MUST(syscall(SYS_tgkill, getpid(), call->tid, SIGUSR2));
}

static const struct entry table[] = {
	{ "FUTEX_WAIT", RESTARTSYS, NULL, do_futex, wake, 0, 0, WAIT, NULL },
	{ "FUTEX_WAIT for a time", RESTARTNOHAND, NULL, do_futex, NULL, -1, ETIMEDOUT, WAIT, check_time },
	{ "FUTEX_WAIT_BITSET", RESTARTSYS, NULL, do_futex, wake, 0, 0, WAIT_BITSET, NULL },
	{ "FUTEX_WAIT_BITSET until a time", RESTARTNOHAND, NULL, do_futex, NULL, -1, ETIMEDOUT, WAIT_BITSET, check_time },
	{ "FUTEX_LOCK_PI", RESTARTNOINTR, own_the_lock, do_futex, unlock, 0, 0, LOCK_PI, NULL },
	{ "FUTEX_LOCK_PI until a time", RESTARTNOINTR, own_the_lock, do_futex, unlock, 0, 0, LOCK_PI | LATER, NULL },
	{ "FUTEX_LOCK_PI2 until a time", RESTARTNOINTR, own_the_lock, do_futex, unlock, 0, 0, LOCK_PI2 | LATER, NULL },
	{ "FUTEX_WAIT_REQUEUE_PI", RESTARTNOINTR, NULL, do_futex, requeue, 0, 0, WAIT_REQUEUE_PI, NULL },
	{ "FUTEX_WAIT_REQUEUE_PI until a time", RESTARTNOINTR, NULL, do_futex, requeue, 0, 0, WAIT_REQUEUE_PI | LATER, NULL },
	{ "futex_waitv", RESTARTSYS, NULL, do_futex_waitv, wake, 1, 0, 0, NULL },
	{ "futex_waitv until a time", RESTARTSYS, NULL, do_futex_waitv, wake, 1, 0, 1, NULL },
	{ "futex_wait", RESTARTSYS, NULL, do_futex_wait, wake, 0, 0, 0, NULL },
	{ "futex_wait until a time", RESTARTSYS, NULL, do_futex_wait, wake, 0, 0, 1, NULL },
	{ "poll", RESTARTNOHAND, event, do_poll, put, 1, 0, 0, NULL },
	{ "poll for a time", RESTARTNOHAND, event, do_poll, NULL, 0, 0, 0, check_time },
	{ "ppoll", RESTARTNOHAND, event, do_ppoll, put, 1, 0, 0, NULL },
	{ "ppoll for a time", RESTARTNOHAND, event, do_ppoll, NULL, 0, 0, 0, check_changed },
	{ "ppoll, its timeout in read-only memory", INTERRUPTED, event_and_fixed_timeout, do_ppoll, NULL, 0, 0, 0, check_time },
	{ "select", RESTARTNOHAND, event, do_select, put, 1, 0, 0, NULL },
	{ "select for a time", RESTARTNOHAND, event, do_select, NULL, 0, 0, 0, check_changed },
	{ "pselect6", RESTARTNOHAND, event, do_pselect, put, 1, 0, 0, NULL },
	{ "pselect6 for a time", RESTARTNOHAND, event, do_pselect, NULL, 0, 0, 0, check_changed },
	{ "pselect6, its timeout in read-only memory", INTERRUPTED, event_and_fixed_timeout, do_pselect, NULL, 0, 0, 0, check_time },
	{ "epoll_wait", INTERRUPTED, event, do_epoll, put, 1, 0, SYS_epoll_wait, NULL },
	{ "epoll_wait for a time", INTERRUPTED, event, do_epoll, NULL, 0, 0, SYS_epoll_wait, check_time },
	{ "epoll_pwait", INTERRUPTED, event, do_epoll, put, 1, 0, SYS_epoll_pwait, NULL },
	{ "epoll_pwait2", INTERRUPTED, event, do_epoll, put, 1, 0, SYS_epoll_pwait2, NULL },
	{ "epoll_pwait2 for a time", INTERRUPTED, event, do_epoll, NULL, 0, 0, SYS_epoll_pwait2, check_time },
	{ "nanosleep", RESTARTNOHAND, NULL, do_nanosleep, NULL, 0, 0, 0, check_left },
	{ "clock_nanosleep(MONOTONIC)", RESTARTNOHAND, NULL, do_clock_nanosleep, NULL, 0, 0, CLOCK_MONOTONIC, check_left },
	{ "clock_nanosleep(REALTIME)", RESTARTNOHAND, NULL, do_clock_nanosleep, NULL, 0, 0, CLOCK_REALTIME, check_left },
	{ "clock_nanosleep(BOOTTIME)", RESTARTNOHAND, NULL, do_clock_nanosleep, NULL, 0, 0, CLOCK_BOOTTIME, check_left },
	{ "clock_nanosleep until a MONOTONIC time", RESTARTNOHAND, NULL, do_clock_nanosleep_until, NULL, 0, 0, CLOCK_MONOTONIC, check_time },
	{ "clock_nanosleep until a REALTIME time", RESTARTNOHAND, NULL, do_clock_nanosleep_until, NULL, 0, 0, CLOCK_REALTIME, check_time },
	{ "pause", RESTARTNOHAND, NULL, do_pause, handle_another, -1, EINTR, 0, NULL },
	{ "rt_sigsuspend", RESTARTNOHAND, NULL, do_sigsuspend, handle_another, -1, EINTR, 0, NULL },
	{ "rt_sigtimedwait", INTERRUPTED, NULL, do_sigtimedwait, send_the_awaited, SIGUSR2, 0, 0, NULL },
	{ "rt_sigtimedwait for a time", INTERRUPTED, NULL, do_sigtimedwait, NULL, -1, EAGAIN, 0, check_time },
};

int main(void)
{
	struct sigaction action = { .sa_handler = note_signal };

	MUST(sigaction(SIGRTMIN, &action, NULL));
	run_all_modes(table, sizeof(table) / sizeof(*table));
	return tst_done();
}
