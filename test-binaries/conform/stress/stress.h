/*
 * What the stress programs share. Each is one stressor: `STRESSOR(name, least)` at its top, and at its end
 * `static void name_body(void)`, which starts threads by stress_thread(), has them work while stress_running(), joins them by
 * stress_join() and checks that what they counted adds up. The argument is for how many seconds (default 1). test-binaries/soak
 * includes all of them and runs them side by side, so every name of a stressor begins with its own, and each has signals of its own.
 */
#ifndef STRESS_H
#define STRESS_H

#include "../tst.h"
#include <pthread.h>
#include <sched.h>

#define STRESS_THREADS 64

struct stressor {
	const char *name;
	void (*body)(void);
	/* Work done, and how much there has to be before the end. */
	long progress, least;
	long failures;
	int threads;
	pthread_t thread[STRESS_THREADS];
};

static int stress_stopped;
static long long stress_begin;

/* Whether the threads go on. */
static inline int stress_running(void)
{
	return !__atomic_load_n(&stress_stopped, __ATOMIC_ACQUIRE);
}

static inline void stress_progress(struct stressor *self, long count)
{
	__atomic_add_fetch(&self->progress, count, __ATOMIC_RELAXED);
}

/* For seconds on Linux in a loop of thousands a second, the first failures tell enough. */
#define stress_fail(self, ...)                                                           \
	do {                                                                             \
		if (__atomic_add_fetch(&(self)->failures, 1, __ATOMIC_RELAXED) <= 5)     \
			tst_fail(__VA_ARGS__);                                           \
	} while (0)

/* A call that must not give -1; its value. */
#define STRESS_MUST(self, call)                                                          \
	({                                                                               \
		errno = 0;                                                               \
		__auto_type stress_value = (call);                                       \
		if ((long)stress_value == -1)                                            \
			stress_fail(self, "%s: %s", #call, tst_errno(errno));            \
		stress_value;                                                            \
	})

/* A pthread call that must give 0. */
#define STRESS_ZERO(self, call)                                                          \
	do {                                                                             \
		int stress_error = (call);                                               \
		if (stress_error)                                                        \
			stress_fail(self, "%s: %s", #call, tst_errno(stress_error));     \
	} while (0)

/* Starts a thread with a small stack; every signal of the stressors is blocked in it. */
__attribute__((unused)) static pthread_t stress_thread(struct stressor *self, void *(*body)(void *), void *argument)
{
	pthread_attr_t attributes;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 128 * 1024);
	if (self->threads == STRESS_THREADS)
		tst_brk("%s: too many threads", self->name);
	error = pthread_create(&self->thread[self->threads], &attributes, body, argument);
	pthread_attr_destroy(&attributes);
	if (error)
		tst_brk("%s: pthread_create: %s", self->name, tst_errno(error));
	return self->thread[self->threads++];
}

/* Waits for all of them; the sum of what they gave. */
__attribute__((unused)) static long stress_join(struct stressor *self)
{
	long sum = 0;

	for (int i = 0; i < self->threads; i++) {
		void *result = NULL;

		STRESS_ZERO(self, pthread_join(self->thread[i], &result));
		sum += (long)result;
	}
	self->threads = 0;
	return sum;
}

__attribute__((unused)) static void stress_sleep(long nanoseconds)
{
	struct timespec time = { nanoseconds / 1000000000, nanoseconds % 1000000000 };

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

/* Numbers that differ by thread, from a state that starts above 0. */
__attribute__((unused)) static unsigned stress_random(unsigned *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

__attribute__((unused)) static void stress_unblock(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

__attribute__((unused)) static void stress_handle(struct stressor *self, int signal, int flags,
						  void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigfillset(&action.sa_mask);
	STRESS_MUST(self, sigaction(signal, &action, NULL));
}

/* Blocks what the stressors send to each other: real-time signals, and the users' two. Faults stay open. */
__attribute__((unused)) static void stress_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGALRM);
	for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++)
		sigaddset(&set, signal);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Signals of the stressors, counted from SIGRTMIN. */
enum { STRESS_SIG_TIMER, STRESS_SIG_QUEUE, STRESS_SIG_QUEUE2, STRESS_SIG_STORM, STRESS_SIG_WAIT, STRESS_SIG_RSEQ, STRESS_SIG_FPU };

/* Runs one stressor on the calling thread until stress_stopped is set by somebody, and checks. */
__attribute__((unused)) static void stress_run(struct stressor *self)
{
	self->progress = 0;
	self->body();
	if (self->failures)
		tst_fail("%s: %ld failures", self->name, self->failures);
	else
		tst_pass("%s: all adds up", self->name);
	CHECK(self->progress >= self->least, "%s: all got somewhere", self->name);
}

struct stress_time {
	struct stressor *self;
	double seconds;
};

/* Longer on a busy machine: only what never gets anywhere is a fault. */
__attribute__((unused)) static void *stress_stopper(void *argument)
{
	struct stress_time *time = argument;
	long long least = stress_begin + (long long)(time->seconds * 1e9), most = least + 30000000000;

	for (;;) {
		long long now = tst_now(CLOCK_MONOTONIC);
		long progress = __atomic_load_n(&time->self->progress, __ATOMIC_RELAXED);

		if (now >= most || (now >= least && progress >= time->self->least))
			break;
		stress_sleep(10000000);
	}
	__atomic_store_n(&stress_stopped, 1, __ATOMIC_RELEASE);
	return NULL;
}

__attribute__((unused)) static int stress_main(struct stressor *self, int argc, char **argv)
{
	struct stress_time time = { self, argc > 1 ? atof(argv[1]) : 1.0 };
	pthread_t stopper;

	stress_block_signals();
	stress_begin = tst_now(CLOCK_MONOTONIC);
	if (pthread_create(&stopper, NULL, stress_stopper, &time))
		tst_brk("pthread_create");
	stress_run(self);
	pthread_join(stopper, NULL);
	return tst_done();
}

#ifdef STRESS_MANY
#define STRESS_ENTRY(self)
#else
#define STRESS_ENTRY(self)                         \
	int main(int argc, char **argv)            \
	{                                          \
		return stress_main(&self, argc, argv); \
	}
#endif

/* Defines the stressor `name`, whose threads have to do `least` pieces of work. */
#define STRESSOR(name, least)                                                      \
	static void name##_body(void);                                             \
	static struct stressor name##_self = { #name, name##_body, 0, least, 0, 0, { 0 } }; \
	STRESS_ENTRY(name##_self)

#endif
