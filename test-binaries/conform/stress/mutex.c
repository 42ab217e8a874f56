/* conform: libs=-lpthread timeout=60 */
/* Every kind of lock that pthreads have, under contention: what they guard adds up, and nobody waits for ever. */
#include "stress.h"
#include <semaphore.h>

STRESSOR(mutex, 200)

enum { MUTEX_KINDS = 5 };
static const char *const mutex_names[MUTEX_KINDS] = { "normal", "recursive", "errorcheck", "inheriting", "shared" };
static pthread_mutex_t mutex_lock[MUTEX_KINDS];
static long mutex_guarded[MUTEX_KINDS], mutex_counted[MUTEX_KINDS];

static void *mutex_locker(void *argument)
{
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		int kind = stress_random(&random) % MUTEX_KINDS;

		if (random & 256) {
			STRESS_ZERO(&mutex_self, pthread_mutex_lock(&mutex_lock[kind]));
		} else {
			int error = pthread_mutex_trylock(&mutex_lock[kind]);

			if (error == EBUSY) {
				sched_yield();
				continue;
			}
			STRESS_ZERO(&mutex_self, error);
		}
		if (kind == 1) {
			STRESS_ZERO(&mutex_self, pthread_mutex_lock(&mutex_lock[kind]));
			mutex_guarded[kind]++;
			STRESS_ZERO(&mutex_self, pthread_mutex_unlock(&mutex_lock[kind]));
		} else {
			if (kind == 2 && pthread_mutex_lock(&mutex_lock[kind]) != EDEADLK)
				stress_fail(&mutex_self, "a second lock is not noticed");
			mutex_guarded[kind]++;
		}
		if (random % 128 == 0)
			sched_yield();
		STRESS_ZERO(&mutex_self, pthread_mutex_unlock(&mutex_lock[kind]));
		__atomic_add_fetch(&mutex_counted[kind], 1, __ATOMIC_RELAXED);
		stress_progress(&mutex_self, 1);
	}
	return NULL;
}

/* A queue of bounded length between two producers and two consumers. */
static pthread_mutex_t mutex_queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t mutex_not_empty = PTHREAD_COND_INITIALIZER, mutex_not_full = PTHREAD_COND_INITIALIZER;
static long mutex_queued, mutex_produced, mutex_consumed;
static int mutex_producers;

static void mutex_wait(pthread_cond_t *condition)
{
	struct timespec end;
	int error;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 40;
	error = pthread_cond_timedwait(condition, &mutex_queue_lock, &end);
	if (error)
		stress_fail(&mutex_self, "a condition was not signalled: %s", tst_errno(error));
}

static void *mutex_producer(void *argument)
{
	(void)argument;
	while (stress_running()) {
		pthread_mutex_lock(&mutex_queue_lock);
		while (mutex_queued == 3)
			mutex_wait(&mutex_not_full);
		mutex_queued++;
		mutex_produced++;
		pthread_cond_signal(&mutex_not_empty);
		pthread_mutex_unlock(&mutex_queue_lock);
		stress_progress(&mutex_self, 1);
	}
	pthread_mutex_lock(&mutex_queue_lock);
	mutex_producers--;
	pthread_cond_broadcast(&mutex_not_empty);
	pthread_mutex_unlock(&mutex_queue_lock);
	return NULL;
}

static void *mutex_consumer(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&mutex_queue_lock);
	while (mutex_queued || mutex_producers) {
		if (!mutex_queued) {
			mutex_wait(&mutex_not_empty);
			continue;
		}
		mutex_queued--;
		mutex_consumed++;
		pthread_cond_signal(&mutex_not_full);
	}
	pthread_mutex_unlock(&mutex_queue_lock);
	return NULL;
}

/* Readers may look at the pair together; a writer changes it alone. */
static pthread_rwlock_t mutex_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static volatile long mutex_pair[2];

static void *mutex_reader(void *argument)
{
	unsigned random = (long)argument + 100;

	while (stress_running()) {
		if (stress_random(&random) % 4) {
			STRESS_ZERO(&mutex_self, pthread_rwlock_rdlock(&mutex_rwlock));
			if (mutex_pair[0] != mutex_pair[1])
				stress_fail(&mutex_self, "a reader saw a half-done change");
		} else {
			STRESS_ZERO(&mutex_self, pthread_rwlock_wrlock(&mutex_rwlock));
			mutex_pair[0]++;
			if (random % 64 == 0)
				sched_yield();
			mutex_pair[1]++;
		}
		STRESS_ZERO(&mutex_self, pthread_rwlock_unlock(&mutex_rwlock));
		stress_progress(&mutex_self, 1);
	}
	return NULL;
}

/* Rounds that all begin together; one of the three decides whether there is another. */
static pthread_barrier_t mutex_barrier;
static int mutex_arrived, mutex_rounds_over;

static void *mutex_round(void *argument)
{
	(void)argument;
	for (;;) {
		__atomic_add_fetch(&mutex_arrived, 1, __ATOMIC_SEQ_CST);
		if (pthread_barrier_wait(&mutex_barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
			if (__atomic_exchange_n(&mutex_arrived, 0, __ATOMIC_SEQ_CST) != 3)
				stress_fail(&mutex_self, "a barrier let some through early");
			mutex_rounds_over = !stress_running();
			stress_progress(&mutex_self, 1);
		}
		pthread_barrier_wait(&mutex_barrier);
		if (mutex_rounds_over)
			return NULL;
	}
}

/* Two places, three who want one. */
static sem_t mutex_places;
static int mutex_inside;

static void *mutex_visitor(void *argument)
{
	(void)argument;
	while (stress_running()) {
		struct timespec end;

		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += 40;
		STRESS_MUST(&mutex_self, sem_timedwait(&mutex_places, &end));
		if (__atomic_add_fetch(&mutex_inside, 1, __ATOMIC_SEQ_CST) > 2)
			stress_fail(&mutex_self, "three are inside");
		sched_yield();
		__atomic_sub_fetch(&mutex_inside, 1, __ATOMIC_SEQ_CST);
		STRESS_MUST(&mutex_self, sem_post(&mutex_places));
		stress_progress(&mutex_self, 1);
	}
	return NULL;
}

static void mutex_body(void)
{
	mutex_queued = mutex_produced = mutex_consumed = 0;
	mutex_producers = 2;
	mutex_arrived = mutex_rounds_over = 0;
	for (int kind = 0; kind < MUTEX_KINDS; kind++) {
		static const int types[] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK };
		pthread_mutexattr_t attributes;

		pthread_mutexattr_init(&attributes);
		if (kind < 3)
			pthread_mutexattr_settype(&attributes, types[kind]);
		if (kind == 3)
			STRESS_ZERO(&mutex_self, pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
		if (kind == 4)
			STRESS_ZERO(&mutex_self, pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
		pthread_mutex_init(&mutex_lock[kind], &attributes);
		mutex_guarded[kind] = mutex_counted[kind] = 0;
	}
	pthread_barrier_init(&mutex_barrier, NULL, 3);
	MUST(sem_init(&mutex_places, 0, 2));
	for (long i = 0; i < 4; i++)
		stress_thread(&mutex_self, mutex_locker, (void *)i);
	for (long i = 0; i < 3; i++) {
		stress_thread(&mutex_self, mutex_reader, (void *)i);
		stress_thread(&mutex_self, mutex_round, NULL);
		stress_thread(&mutex_self, mutex_visitor, NULL);
	}
	for (int i = 0; i < 2; i++) {
		stress_thread(&mutex_self, mutex_producer, NULL);
		stress_thread(&mutex_self, mutex_consumer, NULL);
	}
	stress_join(&mutex_self);
	for (int kind = 0; kind < MUTEX_KINDS; kind++) {
		if (mutex_guarded[kind] != mutex_counted[kind])
			stress_fail(&mutex_self, "%s: %ld times locked, %ld counted", mutex_names[kind], mutex_counted[kind],
				    mutex_guarded[kind]);
		pthread_mutex_destroy(&mutex_lock[kind]);
	}
	if (mutex_produced != mutex_consumed || mutex_queued)
		stress_fail(&mutex_self, "%ld produced, %ld consumed", mutex_produced, mutex_consumed);
	if (mutex_pair[0] != mutex_pair[1])
		stress_fail(&mutex_self, "writers were not alone");
	pthread_barrier_destroy(&mutex_barrier);
	sem_destroy(&mutex_places);
}
