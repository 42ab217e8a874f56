/* conform: libs=-lpthread timeout=60 */
/* A lock whose fast side has no fence of its own: it holds only if membarrier(2) fences all other threads of the process. */
#include "stress.h"

STRESSOR(membarriers, 100)

enum { MEMBARRIER_GLOBAL = 1, MEMBARRIER_PRIVATE = 8, MEMBARRIER_REGISTER_PRIVATE = 16 };
enum { MEMBARRIERS_FAST = 2 };
static volatile int membarriers_inside[MEMBARRIERS_FAST], membarriers_wanted[MEMBARRIERS_FAST];
/* Guarded by the pair of flags with the same index. */
static volatile long membarriers_owner[MEMBARRIERS_FAST], membarriers_guarded[MEMBARRIERS_FAST];
static long membarriers_counted[MEMBARRIERS_FAST];
static pthread_mutex_t membarriers_slow = PTHREAD_MUTEX_INITIALIZER;

static void membarriers_work(long which, long who)
{
	if (membarriers_owner[which])
		stress_fail(&membarriers_self, "two are inside");
	membarriers_owner[which] = who;
	membarriers_guarded[which]++;
	if (membarriers_owner[which] != who)
		stress_fail(&membarriers_self, "two are inside");
	membarriers_owner[which] = 0;
	__atomic_add_fetch(&membarriers_counted[which], 1, __ATOMIC_RELAXED);
}

static void *membarriers_fast(void *argument)
{
	long which = (long)argument;

	while (stress_running()) {
		membarriers_inside[which] = 1;
		/* The CPU may do the load before the store: the other side's membarrier makes up for it. */
		__asm__ volatile("" ::: "memory");
		if (!membarriers_wanted[which]) {
			membarriers_work(which, 1);
			__asm__ volatile("" ::: "memory");
			membarriers_inside[which] = 0;
		} else {
			membarriers_inside[which] = 0;
			sched_yield();
		}
	}
	return NULL;
}

static void *membarriers_rare(void *argument)
{
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		long which = stress_random(&random) % MEMBARRIERS_FAST;

		pthread_mutex_lock(&membarriers_slow);
		membarriers_wanted[which] = 1;
		STRESS_MUST(&membarriers_self,
			    syscall(SYS_membarrier, random % 256 ? MEMBARRIER_PRIVATE : MEMBARRIER_GLOBAL, 0, 0));
		while (membarriers_inside[which])
			sched_yield();
		membarriers_work(which, 2);
		membarriers_wanted[which] = 0;
		pthread_mutex_unlock(&membarriers_slow);
		stress_progress(&membarriers_self, 1);
		sched_yield();
	}
	return NULL;
}

static void membarriers_body(void)
{
	STRESS_MUST(&membarriers_self, syscall(SYS_membarrier, MEMBARRIER_REGISTER_PRIVATE, 0, 0));
	for (long i = 0; i < MEMBARRIERS_FAST; i++) {
		membarriers_counted[i] = membarriers_guarded[i] = 0;
		stress_thread(&membarriers_self, membarriers_fast, (void *)i);
		stress_thread(&membarriers_self, membarriers_rare, (void *)i);
	}
	stress_join(&membarriers_self);
	for (int i = 0; i < MEMBARRIERS_FAST; i++)
		if (membarriers_counted[i] != membarriers_guarded[i])
			stress_fail(&membarriers_self, "%ld times inside, %ld counted", membarriers_counted[i],
				    membarriers_guarded[i]);
}
