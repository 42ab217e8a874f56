/* conform: libs=-lpthread */
/* exit from a thread that is not the first ends the process at once, while others sleep in all kinds of calls or compute. */
#include "../tst.h"
#include <poll.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int pipes[2];
static volatile int ready;

static void *sleeps(void *argument)
{
	char byte;
	struct pollfd poll_fd = { .fd = pipes[0], .events = POLLIN };
	sigset_t set;

	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	switch ((long)argument) {
	case 0:
		pthread_mutex_lock(&lock);
		for (;;)
			pthread_cond_wait(&never, &lock);
	case 1:
		if (read(pipes[0], &byte, 1) != 1)
			tst_fail("read came back");
		break;
	case 2:
		poll(&poll_fd, 1, -1);
		break;
	case 3:
		for (;;)
			sleep(1000);
	case 4:
		for (;;)
			pause();
	case 5:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		for (;;)
			sigwaitinfo(&set, NULL);
	default:
		for (volatile unsigned long i = 0;; i++)
			;
	}
	return NULL;
}

static void *ends(void *argument)
{
	(void)argument;
	while (ready < 8)
		usleep(1000);
	usleep(20000);
	tst_pass("exit with siblings asleep");
	exit(tst_done());
}

int main(void)
{
	pthread_t thread;

	MUST(pipe(pipes));
	for (long i = 0; i < 8; i++)
		if (pthread_create(&thread, NULL, sleeps, (void *)i))
			tst_brk("pthread_create");
	if (pthread_create(&thread, NULL, ends, NULL))
		tst_brk("pthread_create");
	pthread_join(thread, NULL);
	return TST_BROK;
}
