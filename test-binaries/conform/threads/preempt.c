/* conform: libs=-lpthread */
/* A busy thread is interrupted by signals sent to it, each while the last one has been handled (Go's pre-emption), and by a page that is taken away and given back (Java's safepoints). */
#include "../tst.h"
#include <pthread.h>
#include <sys/mman.h>

#define ROUNDS 200

static volatile int handled, stop, faults, polls;
static volatile pid_t tid;
static volatile char *page;

static void urgent(int signal)
{
	(void)signal;
	handled++;
}

static void fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (info->si_addr != (void *)page || info->si_code != SEGV_ACCERR)
		_exit(TST_FAIL);
	/* At the safepoint until the page is back. */
	while (mprotect((void *)page, 4096, PROT_READ))
		;
	faults++;
}

static void *works(void *argument)
{
	(void)argument;
	tid = syscall(SYS_gettid);
	while (!stop)
		polls += 1 + *page;
	return NULL;
}

/* Whether a count gets there within five seconds. */
static int reaches(volatile int *count, int value)
{
	long long end = tst_now(CLOCK_MONOTONIC) + 5000000000;

	while (*count < value)
		if (tst_now(CLOCK_MONOTONIC) > end || sched_yield())
			return 0;
	return 1;
}

int main(void)
{
	struct sigaction action = { .sa_handler = urgent, .sa_flags = SA_RESTART };
	pthread_t thread;
	int round, before;

	page = MUST(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MUST(sigaction(SIGURG, &action, NULL));
	action.sa_sigaction = fault;
	action.sa_flags = SA_SIGINFO;
	MUST(sigaction(SIGSEGV, &action, NULL));
	if (pthread_create(&thread, NULL, works, NULL))
		tst_brk("pthread_create");
	while (!tid)
		sched_yield();
	for (round = 1; round <= ROUNDS; round++) {
		MUST(syscall(SYS_tgkill, getpid(), tid, SIGURG));
		if (!reaches(&handled, round))
			break;
	}
	CHECK_EQ(handled, ROUNDS);
	for (round = 1; round <= ROUNDS / 4; round++) {
		MUST(mprotect((void *)page, 4096, PROT_NONE));
		if (!reaches(&faults, round))
			break;
	}
	CHECK_EQ(faults, ROUNDS / 4);
	before = polls;
	CHECK(reaches(&polls, before + 1000), "it goes on after all that");
	stop = 1;
	pthread_join(thread, NULL);
	return tst_done();
}
