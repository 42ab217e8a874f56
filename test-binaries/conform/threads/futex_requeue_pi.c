/* conform: libs=-lpthread */
/* FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI: errnos, the lock given at once or handed over, timeouts, signals; locks whose owner ends without unlocking; words that lie; plain wake-ups of who waits for a lock. */
#include "../tst.h"
#include <pthread.h>

#define WAIT 0
#define WAKE 1
#define REQUEUE 3
#define CMP_REQUEUE 4
#define LOCK_PI 6
#define UNLOCK_PI 7
#define TRYLOCK_PI 8
#define WAIT_REQUEUE_PI 11
#define CMP_REQUEUE_PI 12
#define PRIVATE 128
#define WAITERS 0x80000000u
#define DIED 0x40000000u

static uint32_t cond, lock, other;
static volatile int started, finished, go;
static volatile pid_t tids[3];

static long futex(uint32_t *word, int op, uint32_t value, const void *timeout, uint32_t *word2, uint32_t value3)
{
	return syscall(SYS_futex, word, op | PRIVATE, value, timeout, word2, value3);
}

static void wait_for(volatile int *what, int value)
{
	for (int i = 0; i < 5000 && *what != value; i++)
		usleep(1000);
	if (*what != value)
		tst_brk("a thread is late");
}

static void *waits(void *argument)
{
	int number = (intptr_t)argument;

	tids[number] = syscall(SYS_gettid);
	__sync_fetch_and_add(&started, 1);
	if (futex(&cond, WAIT_REQUEUE_PI, 0, NULL, &lock, 0))
		tst_fail("FUTEX_WAIT_REQUEUE_PI: %s", tst_errno(errno));
	if ((lock & 0x3fffffff) != (uint32_t)tids[number])
		tst_fail("the word names another owner");
	__sync_fetch_and_add(&finished, 1);
	if (futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0))
		tst_fail("FUTEX_UNLOCK_PI: %s", tst_errno(errno));
	return NULL;
}

static void start(pthread_t *threads, int count)
{
	started = finished = 0;
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, waits, (void *)(intptr_t)i))
			tst_brk("pthread_create");
	wait_for(&started, count);
	usleep(50000);
}

static void handler(int signal)
{
	(void)signal;
}

static void *interrupted(void *argument)
{
	struct timespec timeout = { 0, 50000000 };

	tids[0] = syscall(SYS_gettid);
	started = 1;
	clock_gettime(CLOCK_MONOTONIC, &timeout);
	timeout.tv_sec += argument ? 1 : 20;
	long result = futex(&cond, WAIT_REQUEUE_PI, 0, &timeout, &lock, 0);
	finished = result ? errno : -1;
	return NULL;
}

static void *owns(void *argument)
{
	(void)argument;
	tids[0] = syscall(SYS_gettid);
	if (futex(&lock, LOCK_PI, 0, NULL, NULL, 0))
		tst_fail("FUTEX_LOCK_PI: %s", tst_errno(errno));
	started = 1;
	wait_for(&go, 1);
	return NULL;
}

static void *locks(void *argument)
{
	(void)argument;
	started = 1;
	finished = futex(&lock, LOCK_PI, 0, NULL, NULL, 0) ? errno : -1;
	if (finished == -1 && futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0))
		tst_fail("FUTEX_UNLOCK_PI: %s", tst_errno(errno));
	return NULL;
}

static void *plain(void *argument)
{
	(void)argument;
	started = 1;
	finished = futex(&lock, WAIT, lock, NULL, NULL, 0) ? errno : -1;
	return NULL;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct timespec past = { 0, 1 }, bad = { 0, -1 };
	pthread_t threads[3];
	const uint32_t me = getpid();

	MUST(sigaction(SIGUSR1, &action, NULL));
	CHECK_ERR(futex(&cond, WAIT_REQUEUE_PI, 0, NULL, &cond, 0), EINVAL);
	CHECK_ERR(futex(&cond, WAIT_REQUEUE_PI, 1, NULL, &lock, 0), EAGAIN);
	CHECK_ERR(futex(&cond, WAIT_REQUEUE_PI, 0, &bad, &lock, 0), EINVAL);
	CHECK_ERR(futex(&cond, WAIT_REQUEUE_PI, 0, &past, &lock, 0), ETIMEDOUT);
	CHECK_ERR(futex(&cond, WAIT_REQUEUE_PI, 0, &past, (uint32_t *)((char *)&lock + 1), 0), EINVAL);
	CHECK_ERR(futex(&cond, CMP_REQUEUE_PI, 1, (void *)1, &cond, 0), EINVAL);
	CHECK_ERR(futex(&cond, CMP_REQUEUE_PI, 0, (void *)1, &lock, 0), EINVAL);
	CHECK_ERR(futex(&cond, CMP_REQUEUE_PI, 2, (void *)1, &lock, 0), EINVAL);
	CHECK_ERR(futex(&cond, CMP_REQUEUE_PI, 1, (void *)1, &lock, 1), EAGAIN);
	CHECK_EQ(futex(&cond, CMP_REQUEUE_PI, 1, (void *)1, &lock, 0), 0);

	/* The lock is free: the first has it at once, the others in turn. */
	start(threads, 3);
	CHECK_ERR(futex(&cond, WAKE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&cond, CMP_REQUEUE, 1, (void *)1, &other, 0), EINVAL);
	CHECK_ERR(futex(&cond, CMP_REQUEUE_PI, 1, (void *)1, &other, 0), EINVAL);
	CHECK_EQ(futex(&cond, CMP_REQUEUE_PI, 1, (void *)9, &lock, 0), 3);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(finished, 3);
	CHECK_EQ(lock, 0);

	/* It is not free. */
	CHECK_EQ(futex(&lock, LOCK_PI, 0, NULL, NULL, 0), 0);
	start(threads, 3);
	CHECK_EQ(futex(&cond, CMP_REQUEUE_PI, 1, (void *)0, &lock, 0), 1);
	CHECK_EQ(futex(&cond, CMP_REQUEUE_PI, 1, (void *)9, &lock, 0), 2);
	CHECK(lock == (me | WAITERS), "others wait for the lock");
	usleep(20000);
	CHECK_EQ(finished, 0);
	CHECK_ERR(futex(&lock, WAKE, 1, NULL, NULL, 0), EINVAL);
	CHECK_EQ(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(finished, 3);
	CHECK_EQ(lock, 0);

	/* A signal: waited for again before it is moved, EAGAIN after. */
	CHECK_EQ(futex(&lock, LOCK_PI, 0, NULL, NULL, 0), 0);
	started = finished = 0;
	if (pthread_create(threads, NULL, interrupted, NULL))
		tst_brk("pthread_create");
	wait_for(&started, 1);
	usleep(50000);
	syscall(SYS_tgkill, me, tids[0], SIGUSR1);
	usleep(50000);
	CHECK_EQ(finished, 0);
	CHECK_EQ(futex(&cond, CMP_REQUEUE_PI, 1, (void *)9, &lock, 0), 1);
	usleep(20000);
	syscall(SYS_tgkill, me, tids[0], SIGUSR1);
	pthread_join(threads[0], NULL);
	CHECK_EQ(finished, EAGAIN);
	started = finished = 0;
	if (pthread_create(threads, NULL, interrupted, &action))
		tst_brk("pthread_create");
	wait_for(&started, 1);
	usleep(50000);
	CHECK_EQ(futex(&cond, CMP_REQUEUE_PI, 1, (void *)9, &lock, 0), 1);
	pthread_join(threads[0], NULL);
	CHECK_EQ(finished, ETIMEDOUT);
	CHECK_EQ(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0), 0);
	CHECK_EQ(lock, 0);

	/* An owner that ends without unlocking. */
	started = 0;
	if (pthread_create(&threads[0], NULL, owns, NULL))
		tst_brk("pthread_create");
	wait_for(&started, 1);
	started = finished = 0;
	if (pthread_create(&threads[1], NULL, locks, NULL))
		tst_brk("pthread_create");
	wait_for(&started, 1);
	usleep(50000);
	CHECK_EQ(finished, 0);
	CHECK_ERR(futex(&lock, TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
	go = 1;
	CHECK_EQ(futex(&lock, LOCK_PI, 0, NULL, NULL, 0), 0);
	CHECK_EQ(finished, -1);
	CHECK((lock & ~DIED) == (me | WAITERS) || lock == me, "the lock is ours");
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	CHECK_EQ(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0), 0);
	lock = tids[0];
	CHECK_ERR(futex(&lock, LOCK_PI, 0, NULL, NULL, 0), ESRCH);
	CHECK(lock == ((uint32_t)tids[0] | WAITERS), "the attempt leaves its mark");

	/* Words that lie. */
	lock = 0;
	CHECK_EQ(futex(&lock, LOCK_PI, 0, NULL, NULL, 0), 0);
	started = finished = 0;
	if (pthread_create(&threads[0], NULL, locks, NULL))
		tst_brk("pthread_create");
	wait_for(&started, 1);
	usleep(50000);
	lock = tids[1] | WAITERS;
	CHECK_ERR(futex(&lock, TRYLOCK_PI, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
	lock = me | WAITERS;
	CHECK_EQ(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0), 0);
	pthread_join(threads[0], NULL);
	CHECK_EQ(finished, -1);

	lock = 77;
	started = finished = 0;
	if (pthread_create(&threads[0], NULL, plain, NULL))
		tst_brk("pthread_create");
	wait_for(&started, 1);
	usleep(50000);
	CHECK_ERR(futex(&lock, LOCK_PI, 0, NULL, NULL, 0), EINVAL);
	lock = me;
	CHECK_ERR(futex(&lock, UNLOCK_PI, 0, NULL, NULL, 0), EINVAL);
	CHECK_EQ(futex(&lock, WAKE, 1, NULL, NULL, 0), 1);
	pthread_join(threads[0], NULL);
	CHECK_EQ(finished, -1);
	return tst_done();
}
