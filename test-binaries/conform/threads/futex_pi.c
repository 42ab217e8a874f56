/* conform: libs=-lpthread */
/* Locks with priority inheritance and futex_waitv: errnos, ownership handed over, timeouts, robust owners, mutexes of the C library. */
#include "../tst.h"
#include <pthread.h>

#define LOCK_PI 6
#define UNLOCK_PI 7
#define TRYLOCK_PI 8
#define PRIVATE 128
#define WAITERS 0x80000000u
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static uint32_t word, words[3];
static volatile pid_t other_tid;
static volatile int go, state;
static pthread_mutex_t mutex;
static long count;

static long futex(int op, const void *timeout)
{
	return syscall(SYS_futex, &word, op | PRIVATE, 0, timeout, NULL, 0);
}

static long waitv(void *list, unsigned number, unsigned flags, void *timeout, int clock)
{
	return syscall(SYS_futex_waitv, list, number, flags, timeout, clock);
}

static void *locks(void *argument)
{
	(void)argument;
	other_tid = syscall(SYS_gettid);
	state = 1;
	if (futex(LOCK_PI, NULL))
		tst_fail("FUTEX_LOCK_PI: %s", tst_errno(errno));
	state = 2;
	if ((word & 0x3fffffff) != (uint32_t)other_tid)
		tst_fail("the word does not name the new owner");
	while (!go)
		usleep(500);
	if (futex(UNLOCK_PI, NULL))
		tst_fail("FUTEX_UNLOCK_PI: %s", tst_errno(errno));
	return NULL;
}

static void *counts(void *argument)
{
	(void)argument;
	for (int i = 0; i < 500; i++) {
		if (pthread_mutex_lock(&mutex))
			tst_fail("pthread_mutex_lock");
		long before = count;
		if (i % 50 == 0)
			sched_yield();
		count = before + 1;
		if (pthread_mutex_unlock(&mutex))
			tst_fail("pthread_mutex_unlock");
	}
	return NULL;
}

static void *dies(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&mutex);
	state = 3;
	usleep(40000);
	return NULL;
}

static void *wakes(void *argument)
{
	(void)argument;
	usleep(30000);
	words[1] = 1;
	syscall(SYS_futex, &words[1], 1 | PRIVATE, 1, NULL, NULL, 0);
	return NULL;
}

int main(void)
{
	struct waitv list[3];
	struct timespec timeout, bad = { .tv_nsec = -1 };
	pthread_mutexattr_t attributes;
	pthread_t thread, threads[4];
	const uint32_t me = getpid();

	CHECK_EQ(futex(LOCK_PI, NULL), 0);
	CHECK(word == me, "the word is the owner's tid");
	CHECK_ERR(futex(LOCK_PI, NULL), EDEADLK);
	CHECK_ERR(futex(TRYLOCK_PI, NULL), EDEADLK);
	CHECK_EQ(futex(UNLOCK_PI, NULL), 0);
	CHECK_EQ(word, 0);
	CHECK_ERR(futex(UNLOCK_PI, NULL), EPERM);
	CHECK_EQ(futex(TRYLOCK_PI, NULL), 0);

	if (pthread_create(&thread, NULL, locks, NULL))
		tst_brk("pthread_create");
	while (!state)
		usleep(500);
	usleep(30000);
	CHECK_EQ(state, 1);
	CHECK(word == (me | WAITERS), "somebody waits");
	CHECK_EQ(futex(UNLOCK_PI, NULL), 0);
	for (int i = 0; i < 2000 && state != 2; i++)
		usleep(500);
	CHECK_EQ(state, 2);
	CHECK_ERR(futex(TRYLOCK_PI, NULL), EAGAIN);
	CHECK_ERR(futex(UNLOCK_PI, NULL), EPERM);
	clock_gettime(CLOCK_REALTIME, &timeout);
	timeout.tv_nsec += 20000000;
	timeout.tv_sec += timeout.tv_nsec / 1000000000;
	timeout.tv_nsec %= 1000000000;
	CHECK_ERR(futex(LOCK_PI, &timeout), ETIMEDOUT);
	CHECK_ERR(futex(LOCK_PI, &bad), EINVAL);
	go = 1;
	pthread_join(thread, NULL);
	CHECK_EQ(futex(LOCK_PI, NULL), 0);
	CHECK_EQ(futex(UNLOCK_PI, NULL), 0);
	word = 0x3ffffff0;
	CHECK_ERR(futex(LOCK_PI, NULL), ESRCH);

	pthread_mutexattr_init(&attributes);
	CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
	CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, counts, NULL))
			tst_brk("pthread_create");
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(count, 2000);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
	if (pthread_create(&thread, NULL, dies, NULL))
		tst_brk("pthread_create");
	while (state != 3)
		usleep(500);
	CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	pthread_join(thread, NULL);

	for (int i = 0; i < 3; i++)
		list[i] = (struct waitv){ 0, (uintptr_t)&words[i], 2 | PRIVATE, 0 };
	CHECK_ERR(waitv(list, 0, 0, NULL, CLOCK_MONOTONIC), EINVAL);
	CHECK_ERR(waitv(list, 129, 0, NULL, CLOCK_MONOTONIC), EINVAL);
	CHECK_ERR(waitv(list, 3, 1, NULL, CLOCK_MONOTONIC), EINVAL);
	CHECK_ERR(waitv(NULL, 3, 0, NULL, CLOCK_MONOTONIC), EINVAL);
	CHECK_ERR(waitv(TST_BAD, 3, 0, NULL, CLOCK_MONOTONIC), EFAULT);
	clock_gettime(CLOCK_MONOTONIC, &timeout);
	timeout.tv_sec += 10;
	CHECK_ERR(waitv(list, 3, 0, &timeout, CLOCK_PROCESS_CPUTIME_ID), EINVAL);
	list[2].value = 1;
	CHECK_ERR(waitv(list, 3, 0, &timeout, CLOCK_MONOTONIC), EAGAIN);
	list[2].value = 0;
	list[2].flags = PRIVATE;
	CHECK_ERR(waitv(list, 3, 0, &timeout, CLOCK_MONOTONIC), EINVAL);
	list[2].flags = 2 | PRIVATE;
	if (pthread_create(&thread, NULL, wakes, NULL))
		tst_brk("pthread_create");
	CHECK_EQ(waitv(list, 3, 0, &timeout, CLOCK_MONOTONIC), 1);
	pthread_join(thread, NULL);
	CHECK_ERR(waitv(list, 3, 0, &timeout, CLOCK_MONOTONIC), EAGAIN);
	timeout = (struct timespec){ 0, 1 };
	words[1] = 0;
	CHECK_ERR(waitv(list, 3, 0, &timeout, CLOCK_MONOTONIC), ETIMEDOUT);
	CHECK_EQ(syscall(SYS_futex, words, 1 | PRIVATE, 9, NULL, NULL, 0), 0);
	return tst_done();
}
