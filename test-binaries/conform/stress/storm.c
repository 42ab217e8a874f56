/* conform: libs=-lpthread timeout=60 */
/* Threads that interrupt each other by signals all the time: handlers run once a signal, calls restart, registers survive. */
#include "stress.h"

STRESSOR(storm, 100)

enum { STORM_THREADS = 6, STORM_AHEAD = 20 };
static pid_t storm_tid[STORM_THREADS];
static long storm_sent[STORM_THREADS], storm_taken[STORM_THREADS], storm_plain_sent[STORM_THREADS], storm_plain_taken[STORM_THREADS];
static int storm_ready, storm_done;
static __thread long storm_me;

static void storm_handler(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	/* Spoils the registers that the interrupted code may have in use. */
	volatile double number = signal;

	(void)context;
	for (int i = 0; i < 4; i++)
		number = number * 1.5 + 1;
	if (info->si_code != SI_TKILL || info->si_pid != getpid())
		stress_fail(&storm_self, "a signal is not what was sent");
	if (signal == SIGUSR1)
		__atomic_add_fetch(&storm_plain_taken[storm_me], 1, __ATOMIC_SEQ_CST);
	else
		__atomic_add_fetch(&storm_taken[storm_me], 1, __ATOMIC_SEQ_CST);
	errno = saved;
}

/* Computes something twice; it is the same whatever interrupts. */
static void storm_compute(unsigned *random)
{
	double first = 0, second = 0;
	unsigned a = *random, b = *random;

	for (int i = 0; i < 300; i++)
		first = first * 0.75 + stress_random(&a) % 1000;
	for (int i = 0; i < 300; i++)
		second = second * 0.75 + stress_random(&b) % 1000;
	if (first != second || a != b)
		stress_fail(&storm_self, "a computation was disturbed");
	*random = a;
}

static void *storm_thread(void *argument)
{
	unsigned random = (long)argument + 1;
	int files[2];
	char byte = 0;

	storm_me = (long)argument;
	storm_tid[storm_me] = syscall(SYS_gettid);
	stress_unblock(SIGRTMIN + STRESS_SIG_STORM);
	stress_unblock(SIGUSR1);
	MUST(pipe(files));
	__atomic_add_fetch(&storm_ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&storm_ready, __ATOMIC_SEQ_CST) < STORM_THREADS)
		sched_yield();
	while (stress_running()) {
		int to = stress_random(&random) % STORM_THREADS;

		storm_compute(&random);
		/* A real-time signal is queued: each counts. One is taken for several only of the others. */
		if (__atomic_load_n(&storm_sent[to], __ATOMIC_SEQ_CST) - __atomic_load_n(&storm_taken[to], __ATOMIC_SEQ_CST) <
		    STORM_AHEAD) {
			if (!syscall(SYS_tgkill, getpid(), storm_tid[to], SIGRTMIN + STRESS_SIG_STORM))
				__atomic_add_fetch(&storm_sent[to], 1, __ATOMIC_SEQ_CST);
			else if (errno != EAGAIN)
				stress_fail(&storm_self, "tgkill: %s", tst_errno(errno));
		}
		if (random % 4 == 0) {
			__atomic_add_fetch(&storm_plain_sent[to], 1, __ATOMIC_SEQ_CST);
			STRESS_MUST(&storm_self, syscall(SYS_tgkill, getpid(), storm_tid[to], SIGUSR1));
		}
		if (write(files[1], &byte, 1) != 1 || read(files[0], &byte, 1) != 1)
			stress_fail(&storm_self, "a call with SA_RESTART: %s", tst_errno(errno));
		if (random % 64 == 0) {
			struct timespec time = { 0, 500000 };

			if (nanosleep(&time, NULL) && errno != EINTR)
				stress_fail(&storm_self, "nanosleep: %s", tst_errno(errno));
		}
		stress_progress(&storm_self, 1);
	}
	/* Nobody ends before all have stopped sending. */
	__atomic_add_fetch(&storm_done, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&storm_done, __ATOMIC_SEQ_CST) < STORM_THREADS)
		sched_yield();
	getpid();
	MUST(close(files[0]));
	MUST(close(files[1]));
	return NULL;
}

static void storm_body(void)
{
	storm_ready = storm_done = 0;
	memset(storm_sent, 0, sizeof(storm_sent));
	memset(storm_taken, 0, sizeof(storm_taken));
	memset(storm_plain_sent, 0, sizeof(storm_plain_sent));
	memset(storm_plain_taken, 0, sizeof(storm_plain_taken));
	stress_handle(&storm_self, SIGRTMIN + STRESS_SIG_STORM, SA_RESTART, storm_handler);
	stress_handle(&storm_self, SIGUSR1, SA_RESTART, storm_handler);
	for (long i = 0; i < STORM_THREADS; i++)
		stress_thread(&storm_self, storm_thread, (void *)i);
	stress_join(&storm_self);
	for (int i = 0; i < STORM_THREADS; i++) {
		if (storm_sent[i] != storm_taken[i])
			stress_fail(&storm_self, "%ld sent, %ld taken", storm_sent[i], storm_taken[i]);
		if (storm_plain_taken[i] > storm_plain_sent[i] || (storm_plain_sent[i] && !storm_plain_taken[i]))
			stress_fail(&storm_self, "%ld sent, %ld taken", storm_plain_sent[i], storm_plain_taken[i]);
	}
}
