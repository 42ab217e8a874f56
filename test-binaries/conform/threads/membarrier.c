/* conform: libs=-lpthread */
/* The commands of membarrier(2), which of them want registration, and their flags. */
#include "tst.h"
#include <pthread.h>
#include <sys/syscall.h>

enum {
	QUERY = 0, GLOBAL = 1, GLOBAL_EXPEDITED = 2, REGISTER_GLOBAL = 4, PRIVATE = 8, REGISTER_PRIVATE = 16,
	SYNC_CORE = 32, REGISTER_SYNC_CORE = 64, RSEQ = 128, REGISTER_RSEQ = 256, REGISTRATIONS = 512, FLAG_CPU = 1,
};

static long membarrier(int command, unsigned flags, int cpu)
{
	return syscall(SYS_membarrier, command, flags, cpu);
}

static void *idles(void *argument)
{
	while (!*(volatile int *)argument)
		sched_yield();
	return NULL;
}

int main(void)
{
	const long all = 2 * REGISTRATIONS - 1;
	pthread_t thread;
	volatile int stop = 0;

	if (pthread_create(&thread, NULL, idles, (void *)&stop))
		tst_brk("pthread_create");
	CHECK_EQ(membarrier(QUERY, 0, 0) & all, all);
	CHECK_ERR(membarrier(QUERY, FLAG_CPU, 0), EINVAL);
	CHECK_EQ(membarrier(GLOBAL, 0, 0), 0);
	CHECK_ERR(membarrier(GLOBAL, FLAG_CPU, 0), EINVAL);
	CHECK_EQ(membarrier(GLOBAL_EXPEDITED, 0, 0), 0);
	CHECK_EQ(membarrier(REGISTER_GLOBAL, 0, 0), 0);
	CHECK_ERR(membarrier(PRIVATE, 0, 0), EPERM);
	CHECK_ERR(membarrier(SYNC_CORE, 0, 0), EPERM);
	CHECK_ERR(membarrier(RSEQ, 0, 0), EPERM);
	CHECK_ERR(membarrier(RSEQ, FLAG_CPU, 0), EPERM);
	/* That registers the private command, too, but does not allow it. */
	CHECK_EQ(membarrier(REGISTER_RSEQ, 0, 0), 0);
	CHECK_EQ(membarrier(REGISTRATIONS, 0, 0), REGISTER_GLOBAL | REGISTER_PRIVATE | REGISTER_RSEQ);
	CHECK_ERR(membarrier(PRIVATE, 0, 0), EPERM);
	CHECK_EQ(membarrier(REGISTER_PRIVATE, 0, 0), 0);
	CHECK_EQ(membarrier(PRIVATE, 0, 0), 0);
	CHECK_ERR(membarrier(PRIVATE, FLAG_CPU, 0), EINVAL);
	CHECK_ERR(membarrier(SYNC_CORE, 0, 0), EPERM);
	CHECK_EQ(membarrier(REGISTER_SYNC_CORE, 0, 0), 0);
	CHECK_EQ(membarrier(SYNC_CORE, 0, 0), 0);
	CHECK_EQ(membarrier(REGISTER_RSEQ, 0, 0), 0);
	CHECK_EQ(membarrier(RSEQ, 0, 0), 0);
	CHECK_EQ(membarrier(RSEQ, FLAG_CPU, 0), 0);
	CHECK_EQ(membarrier(RSEQ, FLAG_CPU, 9999), 0);
	CHECK_ERR(membarrier(RSEQ, 2, 0), EINVAL);
	CHECK_EQ(membarrier(REGISTRATIONS, 0, 0), REGISTER_GLOBAL | REGISTER_PRIVATE | REGISTER_SYNC_CORE | REGISTER_RSEQ);
	CHECK_ERR(membarrier(2 * REGISTRATIONS, 0, 0), EINVAL);
	CHECK_ERR(membarrier(GLOBAL | GLOBAL_EXPEDITED, 0, 0), EINVAL);
	CHECK_ERR(membarrier(-1, 0, 0), EINVAL);
	stop = 1;
	pthread_join(thread, NULL);
	return tst_done();
}
