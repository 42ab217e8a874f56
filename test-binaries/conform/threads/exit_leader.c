/* conform: libs=-lpthread */
/* The first thread ends before another: the process goes on, and the other's exit ends it. */
#include "../tst.h"
#include <pthread.h>

static void *last(void *argument)
{
	char path[64];

	(void)argument;
	usleep(30000);
	tst_pass("a thread outlives the first one");
	CHECK_EQ(kill(getpid(), 0), 0);
	CHECK(syscall(SYS_gettid) != getpid(), "it is not the leader");
	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	CHECK_EQ(access(path, F_OK), 0);
	exit(tst_done());
}

int main(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, last, NULL))
		tst_brk("pthread_create");
	pthread_exit(NULL);
}
