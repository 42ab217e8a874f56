/* POSIX threads: barriers, condition variables with deadlines, read-write locks, recursive, error-checking and robust mutexes, keys,
   cancellation, spin locks, semaphores, once, attributes. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CHECK(call)                                                       \
	do {                                                              \
		int error_ = (call);                                      \
		if (error_) {                                             \
			printf("line %d: error %d\n", __LINE__, error_);  \
			exit(1);                                          \
		}                                                         \
	} while (0)

enum { THREADS = 8, PHASES = 50 };

static void run(int count, void *(*work)(void *), void *argument)
{
	pthread_t threads[64];

	for (int i = 0; i < count; i++)
		CHECK(pthread_create(&threads[i], NULL, work, argument ? argument : (void *)(long)i));
	for (int i = 0; i < count; i++)
		CHECK(pthread_join(threads[i], NULL));
}

/* In each phase every thread adds the sum of all in the phase before: wrong if one passes a barrier early. */
static pthread_barrier_t barrier;
static unsigned long sums[2][THREADS];
static int serial;

static void *phases(void *argument)
{
	long id = (long)argument;

	for (int phase = 0; phase < PHASES; phase++) {
		unsigned long *before = sums[phase % 2], *now = sums[(phase + 1) % 2], sum = id;

		for (int i = 0; i < THREADS; i++)
			sum += before[i];
		now[id] = sum % 1000003;
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void barriers(void)
{
	unsigned long sum = 0;

	CHECK(pthread_barrier_init(&barrier, NULL, THREADS));
	run(THREADS, phases, NULL);
	CHECK(pthread_barrier_destroy(&barrier));
	for (int i = 0; i < THREADS; i++)
		sum += sums[PHASES % 2][i];
	printf("barrier %lu, %d serial threads\n", sum, serial);
}

/* A bounded buffer between producers and consumers. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	int items[16], count, in, out, producers;
	long sum;
} buffer = { .lock = PTHREAD_MUTEX_INITIALIZER, .not_empty = PTHREAD_COND_INITIALIZER, .not_full = PTHREAD_COND_INITIALIZER, .producers = 4 };

static void *produce_or_consume(void *argument)
{
	long id = (long)argument;

	if (id % 2) {
		for (int i = 0; i < 2000; i++) {
			CHECK(pthread_mutex_lock(&buffer.lock));
			while (buffer.count == 16)
				CHECK(pthread_cond_wait(&buffer.not_full, &buffer.lock));
			buffer.items[buffer.in++ % 16] = i;
			buffer.count++;
			CHECK(pthread_cond_signal(&buffer.not_empty));
			CHECK(pthread_mutex_unlock(&buffer.lock));
		}
		CHECK(pthread_mutex_lock(&buffer.lock));
		if (--buffer.producers == 0)
			CHECK(pthread_cond_broadcast(&buffer.not_empty));
		CHECK(pthread_mutex_unlock(&buffer.lock));
		return NULL;
	}
	CHECK(pthread_mutex_lock(&buffer.lock));
	for (;;) {
		while (buffer.count == 0 && buffer.producers > 0)
			CHECK(pthread_cond_wait(&buffer.not_empty, &buffer.lock));
		if (buffer.count == 0)
			break;
		buffer.sum += buffer.items[buffer.out++ % 16];
		buffer.count--;
		CHECK(pthread_cond_signal(&buffer.not_full));
	}
	CHECK(pthread_mutex_unlock(&buffer.lock));
	return NULL;
}

static void deadlines(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_condattr_t attributes;
	pthread_cond_t cond;
	clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };

	for (int i = 0; i < 2; i++) {
		struct timespec deadline, now;

		CHECK(pthread_condattr_init(&attributes));
		CHECK(pthread_condattr_setclock(&attributes, clocks[i]));
		CHECK(pthread_cond_init(&cond, &attributes));
		clock_gettime(clocks[i], &deadline);
		deadline.tv_nsec += 20000000;
		if (deadline.tv_nsec >= 1000000000) {
			deadline.tv_sec++;
			deadline.tv_nsec -= 1000000000;
		}
		CHECK(pthread_mutex_lock(&lock));
		int error = pthread_cond_timedwait(&cond, &lock, &deadline);
		clock_gettime(clocks[i], &now);
		CHECK(pthread_mutex_unlock(&lock));
		printf("deadline %d, not early %d\n", error == ETIMEDOUT,
		       now.tv_sec > deadline.tv_sec || (now.tv_sec == deadline.tv_sec && now.tv_nsec >= deadline.tv_nsec));
		CHECK(pthread_cond_destroy(&cond));
	}
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long pair[2];
static int torn;

static void *read_or_write(void *argument)
{
	long id = (long)argument;

	for (int i = 0; i < 500; i++)
		if (id == 0) {
			CHECK(pthread_rwlock_wrlock(&rwlock));
			pair[0]++;
			if (i % 50 == 0)
				sched_yield();
			pair[1]++;
			CHECK(pthread_rwlock_unlock(&rwlock));
		} else {
			CHECK(pthread_rwlock_rdlock(&rwlock));
			if (pair[0] != pair[1])
				torn = 1;
			CHECK(pthread_rwlock_unlock(&rwlock));
		}
	return NULL;
}

static void *die_with_lock(void *lock)
{
	CHECK(pthread_mutex_lock(lock));
	return NULL;
}

static void mutexes(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutex_t lock;

	CHECK(pthread_mutexattr_init(&attributes));
	CHECK(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE));
	CHECK(pthread_mutex_init(&lock, &attributes));
	CHECK(pthread_mutex_lock(&lock));
	CHECK(pthread_mutex_lock(&lock));
	CHECK(pthread_mutex_unlock(&lock));
	CHECK(pthread_mutex_unlock(&lock));
	printf("recursive, then %d\n", pthread_mutex_unlock(&lock) == EPERM);
	CHECK(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK));
	CHECK(pthread_mutex_init(&lock, &attributes));
	CHECK(pthread_mutex_lock(&lock));
	printf("checking %d\n", pthread_mutex_lock(&lock) == EDEADLK);
	CHECK(pthread_mutex_unlock(&lock));
	CHECK(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_NORMAL));
	CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
	CHECK(pthread_mutex_init(&lock, &attributes));
	run(1, die_with_lock, &lock);
	printf("robust %d", pthread_mutex_lock(&lock) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(&lock));
	CHECK(pthread_mutex_unlock(&lock));
	CHECK(pthread_mutex_lock(&lock));
	printf(" and again\n");
}

static pthread_key_t key;
static int destroyed, cleaned, initialised;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t semaphore;

static void destroy(void *value)
{
	__atomic_fetch_add(&destroyed, (long)value, __ATOMIC_RELAXED);
}

static void initialise(void)
{
	initialised++;
}

static void *with_key(void *argument)
{
	CHECK(pthread_once(&once, initialise));
	CHECK(pthread_setspecific(key, (void *)((long)argument + 1)));
	sem_post(&semaphore);
	return NULL;
}

static void clean(void *unused)
{
	(void)unused;
	cleaned++;
}

static void *wait_for_ever(void *kind)
{
	pthread_cleanup_push(clean, NULL);
	if (kind) {
		CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
		sem_post(&semaphore);
		for (volatile long n = 0;; n++)
			;
	}
	sem_post(&semaphore);
	pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancellation(void)
{
	for (long kind = 0; kind < 2; kind++) {
		pthread_t thread;
		void *result;

		CHECK(pthread_create(&thread, NULL, wait_for_ever, (void *)kind));
		sem_wait(&semaphore);
		CHECK(pthread_cancel(thread));
		CHECK(pthread_join(thread, &result));
		printf("cancelled %d, cleaned %d\n", result == PTHREAD_CANCELED, cleaned);
	}
}

static pthread_spinlock_t spin;
static long spun;

static void *spinning(void *unused)
{
	(void)unused;
	for (int i = 0; i < 500; i++) {
		CHECK(pthread_spin_lock(&spin));
		spun++;
		CHECK(pthread_spin_unlock(&spin));
	}
	return NULL;
}

static void *stack_of(void *unused)
{
	pthread_attr_t attributes;
	size_t size, guard;
	void *base;
	char here;

	(void)unused;
	CHECK(pthread_getattr_np(pthread_self(), &attributes));
	CHECK(pthread_attr_getstack(&attributes, &base, &size));
	CHECK(pthread_attr_getguardsize(&attributes, &guard));
	printf("stack holds this %d, guard %d\n", &here > (char *)base && &here < (char *)base + size, guard > 0);
	return NULL;
}

int main(void)
{
	barriers();
	run(8, produce_or_consume, NULL);
	printf("buffer %ld\n", buffer.sum);
	deadlines();
	run(6, read_or_write, NULL);
	printf("pair %ld %ld torn %d\n", pair[0], pair[1], torn);
	mutexes();
	CHECK(pthread_key_create(&key, destroy));
	sem_init(&semaphore, 0, 0);
	run(10, with_key, NULL);
	for (int i = 0; i < 10; i++)
		sem_wait(&semaphore);
	printf("key %d once %d\n", destroyed, initialised);
	cancellation();
	CHECK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
	run(4, spinning, NULL);
	printf("spun %ld\n", spun);
	run(1, stack_of, NULL);
	stack_of(NULL);
	return 4;
}
