/* conform: libs=-lpthread timeout=30 */
/* What threads on one CPU get of it: by their nice values, by SCHED_IDLE, and by real-time priorities; and where they may run. */
#include "tst.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { OTHER = 0, FIFO = 1, IDLE = 5, MOST = 3 };

static volatile int run, ready;
static volatile unsigned long counts[MOST];
static pid_t tids[MOST];

static void *counter(void *argument)
{
	long which = (long)argument;
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	tids[which] = syscall(SYS_gettid);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (run < 1)
		sched_yield();
	while (run < 2)
		counts[which]++;
	return NULL;
}

static int policy(pid_t tid, int policy, int priority)
{
	return syscall(SYS_sched_setscheduler, tid, policy, &priority);
}

/* Lets `number` threads run for a while, after `prepare`. */
static void compete(int number, void (*prepare)(void))
{
	pthread_t threads[MOST];

	run = ready = 0;
	for (long i = 0; i < number; i++) {
		counts[i] = 0;
		if (pthread_create(&threads[i], NULL, counter, (void *)i))
			tst_brk("pthread_create");
	}
	while (ready < number)
		usleep(1000);
	prepare();
	run = 1;
	usleep(400000);
	run = 2;
	for (int i = 0; i < number; i++)
		pthread_join(threads[i], NULL);
}

/* A machine that is short of CPUs for itself shares them out as it likes for moments: so the shares are looked at a few times. */
#define SHARES(number, prepare, condition, what)                      \
	do {                                                          \
		for (int i = 0; i < 6; i++) {                         \
			compete(number, prepare);                     \
			if (condition)                                \
				break;                                \
		}                                                     \
		CHECK(condition, what);                               \
	} while (0)

static void alike(void)
{
}

static void one_is_nice(void)
{
	MUST(setpriority(PRIO_PROCESS, tids[1], 10));
}

static void one_is_idle(void)
{
	MUST(policy(tids[1], IDLE, 0));
}

static void one_is_real_time(void)
{
	MUST(policy(tids[1], FIFO, 10));
}

static void *where(void *cpu)
{
	*(int *)cpu = sched_getcpu();
	return NULL;
}

int main(void)
{
	cpu_set_t set;
	int cpu = -1;
	pthread_t thread;

	/* The one that watches comes first; with SCHED_RESET_ON_FORK the others do not inherit that. */
	CHECK_EQ(policy(0, FIFO | 0x40000000, 50), 0);

	SHARES(3, alike,
	       counts[0] > counts[1] / 3 && counts[1] > counts[2] / 3 && counts[2] > counts[0] / 3, "equal shares");
	SHARES(2, one_is_nice, counts[0] > 3 * counts[1] && counts[1] > 0, "a nice thread gets less, but something");
	SHARES(2, one_is_idle, counts[0] > 10 * counts[1], "an idle one gets next to nothing");
	SHARES(2, one_is_real_time, counts[1] > 3 * counts[0], "a real-time one comes first");

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(sched_getcpu(), 0);
	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(CPU_COUNT(&set), 1);
	if (pthread_create(&thread, NULL, where, &cpu))
		tst_brk("pthread_create");
	pthread_join(thread, NULL);
	CHECK_EQ(cpu, 0);
	CPU_ZERO(&set);
	CHECK_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	return tst_done();
}
