/* conform: libs=-lpthread */
/* Robust mutexes: the owner's end is EOWNERDEAD for the next, sleeping or not. */
#include "../tst.h"
#include <pthread.h>

static pthread_mutex_t lock;
static int held;

static void *dies(void *argument)
{
	pthread_mutex_lock(&lock);
	__atomic_store_n(&held, 1, __ATOMIC_SEQ_CST);
	if (argument)
		usleep(30000);
	return NULL;
}

static void check(int while_waiting)
{
	pthread_t thread;

	held = 0;
	if (pthread_create(&thread, NULL, dies, while_waiting ? &lock : NULL))
		tst_brk("pthread_create");
	while (!__atomic_load_n(&held, __ATOMIC_SEQ_CST))
		usleep(500);
	if (!while_waiting)
		pthread_join(thread, NULL);
	CHECK_EQ(pthread_mutex_lock(&lock), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&lock), 0);
	CHECK_EQ(pthread_mutex_unlock(&lock), 0);
	if (while_waiting)
		pthread_join(thread, NULL);
}

int main(void)
{
	pthread_mutexattr_t attributes;
	pthread_t thread;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	CHECK_EQ(pthread_mutex_init(&lock, &attributes), 0);
	check(0);
	check(1);
	held = 0;
	if (pthread_create(&thread, NULL, dies, NULL) || pthread_join(thread, NULL))
		tst_brk("pthread_create");
	CHECK_EQ(pthread_mutex_lock(&lock), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_unlock(&lock), 0);
	CHECK_EQ(pthread_mutex_lock(&lock), ENOTRECOVERABLE);
	return tst_done();
}
