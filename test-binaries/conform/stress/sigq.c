/* conform: libs=-lpthread timeout=60 */
/* Queued signals with values between threads, to threads and to the process: each arrives once, in the order of its sender. */
#include "stress.h"
#include <sys/signalfd.h>
#include <poll.h>

STRESSOR(sigq, 100)

enum { SIGQ_SENDERS = 3, SIGQ_OVER = -1 };
/* Queued signals have a limit for the user: no sender is further ahead than this. */
enum { SIGQ_AHEAD = 50 };
static pid_t sigq_signalfd_tid;
static long sigq_sent[2], sigq_taken[2], sigq_order[2][SIGQ_SENDERS];

static int sigq_send(int which, int value)
{
	siginfo_t info = { 0 };
	int signal = SIGRTMIN + (which ? STRESS_SIG_QUEUE2 : STRESS_SIG_QUEUE);

	info.si_signo = signal;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = value;
	/* To one thread in particular, or to the process. */
	if (which)
		return syscall(SYS_rt_tgsigqueueinfo, getpid(), sigq_signalfd_tid, signal, &info);
	return syscall(SYS_rt_sigqueueinfo, getpid(), signal, &info);
}

static void *sigq_sender(void *argument)
{
	int number[2] = { 0 };

	while (stress_running()) {
		for (int which = 0; which < 2; which++) {
			while (__atomic_load_n(&sigq_order[which][(long)argument], __ATOMIC_ACQUIRE) + SIGQ_AHEAD < number[which] &&
			       stress_running())
				sched_yield();
			if (sigq_send(which, number[which] * SIGQ_SENDERS + (long)argument)) {
				/* Others in this process may have filled the queue for now. */
				if (errno != EAGAIN)
					stress_fail(&sigq_self, "sigqueue: %s", tst_errno(errno));
				continue;
			}
			number[which]++;
			__atomic_add_fetch(&sigq_sent[which], 1, __ATOMIC_SEQ_CST);
			stress_progress(&sigq_self, 1);
		}
	}
	return NULL;
}

static int sigq_count(int which, int code, int value)
{
	if (code != SI_QUEUE)
		stress_fail(&sigq_self, "si_code %d", code);
	if (value == SIGQ_OVER)
		return 0;
	if (sigq_order[which][value % SIGQ_SENDERS] != value / SIGQ_SENDERS)
		stress_fail(&sigq_self, "number %ld of a sender is number %d", sigq_order[which][value % SIGQ_SENDERS],
			    value / SIGQ_SENDERS);
	__atomic_add_fetch(&sigq_order[which][value % SIGQ_SENDERS], 1, __ATOMIC_RELEASE);
	sigq_taken[which]++;
	return 1;
}

static void *sigq_waiter(void *argument)
{
	struct timespec patience = { 40, 0 };
	sigset_t set;
	siginfo_t info;

	(void)argument;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + STRESS_SIG_QUEUE);
	do {
		if (STRESS_MUST(&sigq_self, sigtimedwait(&set, &info, &patience)) < 0)
			break;
	} while (sigq_count(0, info.si_code, info.si_value.sival_int));
	return NULL;
}

static void *sigq_reader(void *argument)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int file;

	(void)argument;
	__atomic_store_n(&sigq_signalfd_tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + STRESS_SIG_QUEUE2);
	file = MUST(signalfd(-1, &set, SFD_NONBLOCK));
	do {
		struct pollfd entry = { file, POLLIN, 0 };

		if (STRESS_MUST(&sigq_self, poll(&entry, 1, 40000)) != 1)
			stress_fail(&sigq_self, "poll: no signal");
		if (STRESS_MUST(&sigq_self, read(file, &info, sizeof(info))) != sizeof(info))
			break;
	} while (sigq_count(1, info.ssi_code, info.ssi_int));
	MUST(close(file));
	return NULL;
}

static void sigq_body(void)
{
	pthread_t senders[SIGQ_SENDERS];

	memset(sigq_order, 0, sizeof(sigq_order));
	memset(sigq_sent, 0, sizeof(sigq_sent));
	memset(sigq_taken, 0, sizeof(sigq_taken));
	sigq_signalfd_tid = 0;
	stress_thread(&sigq_self, sigq_waiter, NULL);
	stress_thread(&sigq_self, sigq_reader, NULL);
	while (!__atomic_load_n(&sigq_signalfd_tid, __ATOMIC_ACQUIRE))
		sched_yield();
	for (long i = 0; i < SIGQ_SENDERS; i++)
		STRESS_ZERO(&sigq_self, pthread_create(&senders[i], NULL, sigq_sender, (void *)i));
	for (int i = 0; i < SIGQ_SENDERS; i++)
		STRESS_ZERO(&sigq_self, pthread_join(senders[i], NULL));
	for (int which = 0; which < 2; which++)
		while (sigq_send(which, SIGQ_OVER) && errno == EAGAIN)
			stress_sleep(1000000);
	stress_join(&sigq_self);
	for (int which = 0; which < 2; which++)
		if (sigq_sent[which] != sigq_taken[which])
			stress_fail(&sigq_self, "%ld sent, %ld taken", sigq_sent[which], sigq_taken[which]);
}
