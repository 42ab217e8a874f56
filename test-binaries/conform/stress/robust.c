/* conform: libs=-lpthread timeout=60 */
/* Threads that end with a robust lock in their hands: the next one is told, no lock is lost, nothing is counted twice. */
#include "stress.h"

STRESSOR(robust, 20)

enum { ROBUST_LOCKS = 3 };
static pthread_mutex_t robust_lock[ROBUST_LOCKS];
static long robust_guarded[ROBUST_LOCKS], robust_left, robust_told, robust_counted;
/* Whether whoever holds it leaves with it. */
static int robust_broken[ROBUST_LOCKS];

static void robust_take(int which)
{
	int error = pthread_mutex_lock(&robust_lock[which]);

	if (error == EOWNERDEAD) {
		if (!robust_broken[which])
			stress_fail(&robust_self, "an owner is called dead who is not");
		robust_broken[which] = 0;
		__atomic_add_fetch(&robust_told, 1, __ATOMIC_SEQ_CST);
		STRESS_ZERO(&robust_self, pthread_mutex_consistent(&robust_lock[which]));
	} else if (error) {
		stress_fail(&robust_self, "lock: %s", tst_errno(error));
	} else if (robust_broken[which]) {
		stress_fail(&robust_self, "an owner's death is not told");
	}
}

/* Locks and unlocks some, then ends holding one or two. */
static void *robust_victim(void *argument)
{
	unsigned random = (long)argument + 1;
	int rounds = stress_random(&random) % 8, first = stress_random(&random) % ROBUST_LOCKS;
	int second = stress_random(&random) % 2 ? ROBUST_LOCKS - 1 : first;

	for (int i = 0; i < rounds; i++) {
		int which = stress_random(&random) % ROBUST_LOCKS;

		robust_take(which);
		robust_guarded[which]++;
		__atomic_add_fetch(&robust_counted, 1, __ATOMIC_RELAXED);
		STRESS_ZERO(&robust_self, pthread_mutex_unlock(&robust_lock[which]));
	}
	for (int which = first;; which = second) {
		robust_take(which);
		robust_broken[which] = 1;
		__atomic_add_fetch(&robust_left, 1, __ATOMIC_SEQ_CST);
		if (which >= second)
			break;
	}
	return NULL;
}

static void *robust_starter(void *argument)
{
	for (long number = (long)argument; stress_running(); number += 100) {
		pthread_t threads[3];

		for (int i = 0; i < 3; i++)
			STRESS_ZERO(&robust_self, pthread_create(&threads[i], NULL, robust_victim, (void *)(number + i)));
		for (int i = 0; i < 3; i++)
			STRESS_ZERO(&robust_self, pthread_join(threads[i], NULL));
		stress_progress(&robust_self, 3);
	}
	return NULL;
}

static void robust_body(void)
{
	pthread_mutexattr_t attributes;
	long guarded = 0;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	robust_left = robust_told = robust_counted = 0;
	for (int i = 0; i < ROBUST_LOCKS; i++) {
		pthread_mutex_init(&robust_lock[i], &attributes);
		robust_guarded[i] = robust_broken[i] = 0;
	}
	for (long i = 0; i < 3; i++)
		stress_thread(&robust_self, robust_starter, (void *)(i * 10));
	stress_join(&robust_self);
	for (int i = 0; i < ROBUST_LOCKS; i++) {
		robust_take(i);
		pthread_mutex_unlock(&robust_lock[i]);
		pthread_mutex_destroy(&robust_lock[i]);
		guarded += robust_guarded[i];
	}
	if (robust_left != robust_told)
		stress_fail(&robust_self, "%ld locks were left, %ld times that was told", robust_left, robust_told);
	if (guarded != robust_counted)
		stress_fail(&robust_self, "%ld times locked, %ld counted", robust_counted, guarded);
}
