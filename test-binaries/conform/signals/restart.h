/* A table of calls that wait, and what a signal does to each (signal(7), "Interruption of system calls and library functions by
 * signal handlers" and the section after it). Each call waits in a thread of its own; the main thread sends the signals, lets
 * those that went on come to their end, and alone prints. */
#ifndef RESTART_H
#define RESTART_H

#include "../tst.h"
#include <pthread.h>
#include <stdbool.h>

/* What happens to a call that a signal interrupts, by what Linux names the codes. */
enum rule {
	RESTARTSYS,   /* goes on after a handler with SA_RESTART, and where no handler ran */
	RESTARTNOHAND, /* goes on only where no handler ran */
	RESTARTNOINTR, /* always goes on */
	INTERRUPTED,   /* never goes on: EINTR even from SIGSTOP and SIGCONT */
};

struct call;

/* A line of the table. */
struct entry {
	const char *name;
	enum rule rule;
	void (*prepare)(struct call *);
	long (*run)(struct call *);
	/* Lets the call come to its end; NULL: it does so by its timeout. */
	void (*release)(struct call *);
	long value; /* what it returns in the end, if it is not interrupted */
	int error;
	long number; /* for `run`: which call */
	void (*check)(struct call *, bool interrupted); /* more to look at afterwards; may be NULL */
};

/* One run of it. */
struct call {
	const struct entry *is;
	long number;
	struct timespec timeout; /* how long `run` is to wait, if it has a timeout; it may change it */
	struct timespec asked, left;
	int fd[4];
	uint32_t word[2];
	void *memory; /* a page */
	char path[96];
	bool wrong;
	pthread_t thread;
	volatile int tid;
	volatile int handled, done;
	long result;
	int errno_after;
	long long start, stopped, end;
};

enum mode { IGNORED, RESTARTING, PLAIN, STOPPED, STOPPED_THEN_PLAIN };

static const char *const mode_names[] = {
	"an ignored signal", "a handler with SA_RESTART", "a handler without", "SIGSTOP and SIGCONT", "the same, then a handler",
};

static __thread struct call *own;

static inline void note_signal(int signal)
{
	(void)signal;
	if (own)
		own->handled++;
}

static void *run_call(void *argument)
{
	struct call *call = argument;
	sigset_t set;
	long result;

	own = call;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	call->start = tst_now(CLOCK_MONOTONIC);
	call->tid = syscall(SYS_gettid);
	errno = 0;
	result = call->is->run(call);
	call->errno_after = errno;
	call->end = tst_now(CLOCK_MONOTONIC);
	call->result = result;
	__sync_synchronize();
	call->done = 1;
	return NULL;
}

static bool is_asleep(int tid)
{
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	if (tst_read_file(path, text, sizeof(text)) <= 0)
		return false;
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

/* Waits until the call has ended or waits in the kernel (after `signals` handlers), for 10 seconds at the most. */
static void settle(struct call *call, int signals)
{
	for (int i = 0; i < 10000; i++) {
		if (call->done || (call->tid && call->handled >= signals && is_asleep(call->tid)))
			return;
		usleep(1000);
	}
}

/* Waits for its end, for 10 seconds at the most. */
static bool ends(struct call *call)
{
	for (int i = 0; i < 10000 && !call->done; i++)
		usleep(1000);
	return call->done;
}

static void stop_and_go_on(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT };
	/* Again and again, in case that the first comes before the stop. */
	struct itimerspec time = { { 0, 20000000 }, { 0, 20000000 } };
	timer_t timer;

	MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
	MUST(timer_settime(timer, 0, &time, NULL));
	MUST(kill(getpid(), SIGSTOP));
	MUST(timer_delete(timer));
}

static bool goes_on(enum rule rule, enum mode mode)
{
	switch (mode) {
	case RESTARTING:
		return rule == RESTARTSYS || rule == RESTARTNOINTR;
	case PLAIN:
	case STOPPED_THEN_PLAIN:
		return rule == RESTARTNOINTR;
	case STOPPED:
		return rule != INTERRUPTED;
	default:
		return true;
	}
}

static void handle_by(enum mode mode)
{
	struct sigaction action = { .sa_handler = mode == IGNORED ? SIG_IGN : note_signal };

	if (mode == RESTARTING)
		action.sa_flags = SA_RESTART;
	MUST(sigaction(SIGUSR1, &action, NULL));
}

static void judge(struct call *call, enum mode mode)
{
	bool wanted = goes_on(call->is->rule, mode), interrupted;
	long value = wanted ? call->is->value : -1;
	int error = wanted ? call->is->error : EINTR;

	if (!call->done)
		tst_brk("%s, %s: it does not end", call->is->name, mode_names[mode]);
	/* The functions of the C libraries that give an errno as their value are not used. */
	if (call->result != -1)
		call->errno_after = 0;
	interrupted = call->result == -1 && call->errno_after == EINTR && !wanted;
	if (call->is->check)
		call->is->check(call, interrupted);
	if (call->result != value || call->errno_after != error)
		tst_fail("%s, %s: %ld, %s, not %ld, %s", call->is->name, mode_names[mode], call->result, tst_errno(call->errno_after),
			 value, tst_errno(error));
	else if (call->wrong)
		tst_fail("%s, %s: the rest is wrong", call->is->name, mode_names[mode]);
	else
		tst_pass("%s, %s: %s", call->is->name, mode_names[mode], wanted ? "goes on" : "EINTR");
}

/* Every call of the table with one kind of signal. `timeout` is for those that have one. */
static void run_mode(const struct entry *table, size_t count, enum mode mode, struct timespec timeout)
{
	static struct call calls[64];
	bool signals = mode != STOPPED && mode != IGNORED;
	int rounds = mode == RESTARTING ? 2 : 1;

	if (count > sizeof(calls) / sizeof(*calls))
		tst_brk("too many calls");
	handle_by(mode);
	for (size_t i = 0; i < count; i++) {
		struct call *call = &calls[i];

		*call = (struct call){ .is = &table[i], .number = table[i].number, .timeout = timeout, .asked = timeout, .fd = { -1, -1, -1, -1 } };
		if (call->is->prepare)
			call->is->prepare(call);
		if (pthread_create(&call->thread, NULL, run_call, call))
			tst_brk("pthread_create");
	}
	for (size_t i = 0; i < count; i++)
		settle(&calls[i], 0);
	usleep(10000);
	if (mode == STOPPED || mode == STOPPED_THEN_PLAIN) {
		long long now;

		/* Late, so that one which began to wait anew would be seen to end too late. */
		if (mode == STOPPED)
			usleep(400000);
		now = tst_now(CLOCK_MONOTONIC);
		for (size_t i = 0; i < count; i++)
			calls[i].stopped = now;
		stop_and_go_on();
		usleep(10000);
		for (size_t i = 0; i < count; i++)
			settle(&calls[i], 0);
	}
	for (int round = 1; round <= rounds; round++) {
		for (size_t i = 0; i < count; i++)
			if (mode != STOPPED && !calls[i].done)
				syscall(SYS_tgkill, getpid(), calls[i].tid, SIGUSR1);
		for (size_t i = 0; i < count; i++)
			settle(&calls[i], signals ? round : 0);
		/* One that is not to go on may have been seen just before its end. */
		usleep(10000);
	}
	for (size_t i = 0; i < count; i++) {
		struct call *call = &calls[i];

		if ((goes_on(call->is->rule, mode) || !ends(call)) && !call->done && call->is->release)
			call->is->release(call);
		ends(call);
		judge(call, mode);
		pthread_join(call->thread, NULL);
		if (call->memory)
			munmap(call->memory, TST_PAGE);
		for (int fd = 0; fd < 4; fd++)
			if (call->fd[fd] >= 0)
				close(call->fd[fd]);
	}
}

static void run_all_modes(const struct entry *table, size_t count)
{
	const struct timespec longer = { 60, 0 }, shorter = { 0, 800000000 };

	run_mode(table, count, IGNORED, shorter);
	run_mode(table, count, RESTARTING, longer);
	run_mode(table, count, PLAIN, longer);
	run_mode(table, count, STOPPED, shorter);
	run_mode(table, count, STOPPED_THEN_PLAIN, longer);
}

#endif
