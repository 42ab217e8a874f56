/* conform: libs=-lpthread */
/* pthread_create and pthread_join: results, ids, thread-local variables, errno, attributes; detached threads; 200 threads at once. */
#include "../tst.h"
#include <pthread.h>

static __thread int own = 5;
static int main_own_seen = -1;
static pid_t child_tid;

static void *basic(void *argument)
{
	main_own_seen = own;
	own = 77;
	errno = ENOTDIR;
	child_tid = syscall(SYS_gettid);
	return (char *)argument + 1;
}

static void *many(void *argument)
{
	long number = (long)argument;

	own += number;
	usleep(1000);
	return (void *)(long)(own == 5 + number ? number * 2 : -1);
}

static int released;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *detached(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&lock);
	released++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *exits(void *argument)
{
	pthread_exit(argument);
}

int main(void)
{
	static char text[4];
	pthread_t thread, threads[200];
	pthread_attr_t attributes;
	void *result;
	int good = 0;

	own = 6;
	errno = 0;
	CHECK_EQ(pthread_create(&thread, NULL, basic, text), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == text + 1, "the result of the thread");
	CHECK_EQ(main_own_seen, 5);
	CHECK_EQ(own, 6);
	CHECK_EQ(errno, 0);
	CHECK(child_tid != getpid() && child_tid > 0, "a tid of its own");
	CHECK_EQ(syscall(SYS_gettid), getpid());

	CHECK_EQ(pthread_create(&thread, NULL, exits, text + 2), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == text + 2, "the result of pthread_exit");

	for (long i = 0; i < 200; i++)
		if (pthread_create(&threads[i], NULL, many, (void *)i))
			tst_brk("thread %ld", i);
	for (long i = 0; i < 200; i++)
		good += !pthread_join(threads[i], &result) && (long)result == i * 2;
	CHECK_EQ(good, 200);

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 20; i++)
		if (pthread_create(&thread, &attributes, detached, NULL))
			tst_brk("detached thread %d", i);
	pthread_mutex_lock(&lock);
	while (released < 20)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	CHECK_EQ(released, 20);

	good = 0;
	for (int i = 0; i < 300; i++)
		good += !pthread_create(&thread, NULL, exits, &good) && !pthread_join(thread, &result) && result == &good;
	CHECK_EQ(good, 300);
	return tst_done();
}
