/* conform: libs=-lpthread timeout=40 */
/* Threads, futexes, signals, timers, pipes and mappings mixed for a second and a half: nothing hangs, is lost or counted twice. */
#include "../tst.h"
#include <poll.h>
#include <pthread.h>
#include <sys/time.h>

static volatile int stop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static volatile long produced, locked_sum, alarms;
static long consumed, queue, local_sums[4], signals_sent;
static volatile long signals_taken, bad;
static pthread_t targets[4];
static int ring[4][2];

static void note(const char *what)
{
	bad++;
	tst_fail("%s: %s", what, tst_errno(errno));
}

static void on_signal(int signal)
{
	int saved = errno;

	if (signal == SIGALRM)
		__atomic_add_fetch(&alarms, 1, __ATOMIC_SEQ_CST);
	else
		__atomic_add_fetch(&signals_taken, 1, __ATOMIC_SEQ_CST);
	errno = saved;
}

static void *producer(void *argument)
{
	(void)argument;
	while (!stop) {
		pthread_mutex_lock(&lock);
		while (queue >= 10 && !stop)
			pthread_cond_wait(&changed, &lock);
		queue++;
		produced++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *consumer(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct timespec end;

		while (!queue && !stop) {
			clock_gettime(CLOCK_REALTIME, &end);
			end.tv_sec += 20;
			if (pthread_cond_timedwait(&changed, &lock, &end))
				note("a condition was not signalled");
		}
		if (!queue)
			break;
		queue--;
		consumed++;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *locker(void *argument)
{
	long *own = argument;

	while (!stop) {
		pthread_mutex_lock(&lock);
		locked_sum++;
		pthread_mutex_unlock(&lock);
		++*own;
	}
	return NULL;
}

static void *passes(void *argument)
{
	long me = (long)argument;
	char byte;

	/* A token goes round through four pipes. */
	for (;;) {
		ssize_t got = read(ring[me][0], &byte, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got != 1)
			break;
		if (byte == 'x' || stop) {
			if (write(ring[(me + 1) % 4][1], "x", 1) != 1)
				note("write");
			break;
		}
		if (write(ring[(me + 1) % 4][1], &byte, 1) != 1)
			note("write");
	}
	return NULL;
}

static void *mapper(void *argument)
{
	(void)argument;
	while (!stop) {
		char *at = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED) {
			note("mmap");
			break;
		}
		for (int i = 0; i < 65536; i += 4096)
			at[i] = i >> 12;
		mprotect(at, 32768, PROT_READ);
		for (int i = 0; i < 65536; i += 4096)
			if (at[i] != i >> 12)
				note("memory");
		munmap(at, 65536);
	}
	return NULL;
}

static void *starts(void *argument)
{
	return argument;
}

static void *starter(void *argument)
{
	(void)argument;
	while (!stop) {
		pthread_t threads[5];
		void *result;

		for (long i = 0; i < 5; i++)
			if (pthread_create(&threads[i], NULL, starts, (void *)i))
				note("pthread_create");
		for (long i = 0; i < 5; i++)
			if (pthread_join(threads[i], &result) || result != (void *)i)
				note("pthread_join");
	}
	return NULL;
}

static void *floats(void *argument)
{
	double start = (long)argument, value = start;

	while (!stop) {
		value = start;
		for (int i = 0; i < 1000; i++)
			value = value * 1.0000001 + 0.5;
		double again = start;
		for (int i = 0; i < 1000; i++)
			again = again * 1.0000001 + 0.5;
		if (again != value)
			note("floating point");
	}
	return NULL;
}

static void *sender(void *argument)
{
	(void)argument;
	while (!stop) {
		for (int i = 0; i < 4; i++)
			if (!pthread_kill(targets[i], SIGUSR1))
				signals_sent++;
		usleep(2000);
	}
	return NULL;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval timer = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
	pthread_t threads[32];
	int count = 0;

	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGALRM, &action, NULL));
	for (int i = 0; i < 4; i++)
		MUST(pipe(ring[i]));
#define START(body, argument)                                                    \
	if (pthread_create(&threads[count++], NULL, body, (void *)(argument)))   \
	tst_brk("pthread_create")
	for (long i = 0; i < 4; i++) {
		START(locker, &local_sums[i]);
		targets[i] = threads[count - 1];
	}
	for (long i = 0; i < 2; i++) {
		START(producer, 0);
		START(consumer, 0);
		START(mapper, 0);
		START(floats, i + 1);
	}
	for (long i = 0; i < 4; i++)
		START(passes, i);
	START(starter, 0);
	if (write(ring[0][1], "t", 1) != 1)
		tst_brk("write");
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
	START(sender, 0);
	/* Longer on a busy host: only what never gets anywhere is a fault. */
	const long long begin = tst_now(CLOCK_MONOTONIC);
	for (;;) {
		const long long ran = tst_now(CLOCK_MONOTONIC) - begin;
		const int enough = produced > 100 && locked_sum > 100 && alarms > 10 && signals_taken > 4;

		if ((ran > 1500000000 && enough) || ran > 20000000000)
			break;
		poll(NULL, 0, 50);
	}
	/* The one that sends has to be gone before those it sends to. */
	stop = 1;
	pthread_join(threads[--count], NULL);
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(bad, 0);
	CHECK_EQ(produced, consumed + queue);
	CHECK_EQ(locked_sum, local_sums[0] + local_sums[1] + local_sums[2] + local_sums[3]);
	CHECK(produced > 100 && locked_sum > 100, "all got somewhere");
	CHECK(alarms > 10, "the timer ran out often");
	CHECK(signals_taken > 4 && signals_taken <= signals_sent, "signals were taken, none twice");
	return tst_done();
}
