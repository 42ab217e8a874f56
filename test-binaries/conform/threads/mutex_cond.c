/* conform: libs=-lpthread */
/* Mutexes, condition variables with and without timeouts, barriers, read-write locks and semaphores between threads. */
#include "../tst.h"
#include <pthread.h>
#include <semaphore.h>

#define THREADS 8
#define ROUNDS 2000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static long count, serials, turn, read_wrong, pair[2];

static void *counts(void *argument)
{
	(void)argument;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		long before = count;
		if (i % 512 == 0)
			sched_yield();
		count = before + 1;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *meets(void *argument)
{
	(void)argument;
	for (int i = 0; i < 50; i++)
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_add_fetch(&serials, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *takes_turns(void *argument)
{
	long me = (long)argument;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < 100; i++) {
		while (turn % THREADS != me)
			pthread_cond_wait(&changed, &lock);
		turn++;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *reads_writes(void *argument)
{
	long me = (long)argument;

	for (int i = 0; i < 300; i++) {
		if (me % 4 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			pair[0]++;
			if (i % 64 == 0)
				sched_yield();
			pair[1]++;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			if (pair[0] != pair[1])
				__atomic_add_fetch(&read_wrong, 1, __ATOMIC_SEQ_CST);
		}
		pthread_rwlock_unlock(&rwlock);
	}
	return NULL;
}

static void *posts(void *argument)
{
	(void)argument;
	for (int i = 0; i < 100; i++)
		sem_post(&semaphore);
	return NULL;
}

static void run(void *(*body)(void *))
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, body, (void *)i))
			tst_brk("pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static struct timespec soon(clockid_t clock, long milliseconds)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_nsec += milliseconds * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

int main(void)
{
	pthread_condattr_t attributes;
	pthread_cond_t monotonic;
	struct timespec end;
	long long before;

	run(counts);
	CHECK_EQ(count, THREADS * ROUNDS);

	pthread_barrier_init(&barrier, NULL, THREADS);
	run(meets);
	CHECK_EQ(serials, 50);
	run(takes_turns);
	CHECK_EQ(turn, THREADS * 100);
	run(reads_writes);
	CHECK_EQ(read_wrong, 0);
	CHECK_EQ(pair[0], THREADS / 4 * 300);

	sem_init(&semaphore, 0, 0);
	run(posts);
	for (int i = 0; i < THREADS * 100; i++)
		if (sem_wait(&semaphore))
			tst_brk("sem_wait");
	CHECK_ERR(sem_trywait(&semaphore), EAGAIN);
	end = soon(CLOCK_REALTIME, 30);
	CHECK_ERR(sem_timedwait(&semaphore, &end), ETIMEDOUT);

	pthread_mutex_lock(&lock);
	before = tst_now(CLOCK_MONOTONIC);
	end = soon(CLOCK_REALTIME, 50);
	CHECK_EQ(pthread_cond_timedwait(&changed, &lock, &end), ETIMEDOUT);
	CHECK(tst_now(CLOCK_MONOTONIC) - before >= 49000000, "the wait took as long as asked for");
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&monotonic, &attributes);
	before = tst_now(CLOCK_MONOTONIC);
	end = soon(CLOCK_MONOTONIC, 50);
	CHECK_EQ(pthread_cond_timedwait(&monotonic, &lock, &end), ETIMEDOUT);
	CHECK(tst_now(CLOCK_MONOTONIC) >= end.tv_sec * 1000000000LL + end.tv_nsec, "it ended at the time given");
	CHECK(tst_now(CLOCK_MONOTONIC) - before < 2000000000, "and not much later");
	pthread_mutex_unlock(&lock);

	pthread_mutex_lock(&lock);
	end = soon(CLOCK_REALTIME, 20);
	CHECK_EQ(pthread_mutex_timedlock(&lock, &end), ETIMEDOUT);
	CHECK_EQ(pthread_mutex_trylock(&lock), EBUSY);
	pthread_mutex_unlock(&lock);
	return tst_done();
}
