/* conform: libs=-lpthread timeout=60 */
/* A thousand threads at once, then threads that come and go: joined, detached, cancelled, each with what is its own. */
#include "stress.h"

STRESSOR(threads, 1000)

enum { THREADS_MANY = 1000 };
static pthread_t threads_thread[THREADS_MANY];
static pid_t threads_tid[THREADS_MANY];
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t threads_changed = PTHREAD_COND_INITIALIZER;
static int threads_here, threads_gate;
static long threads_detached_started, threads_detached_ended, threads_destroyed;
static pthread_key_t threads_key;
static __thread long threads_own = -1;

static void threads_destructor(void *value)
{
	(void)value;
	__atomic_add_fetch(&threads_destroyed, 1, __ATOMIC_SEQ_CST);
}

static void *threads_waiter(void *argument)
{
	long me = (long)argument;

	if (threads_own != -1)
		stress_fail(&threads_self, "thread-local data is not as it starts");
	threads_own = me;
	errno = me;
	threads_tid[me] = syscall(SYS_gettid);
	pthread_setspecific(threads_key, (void *)(me + 1));
	pthread_mutex_lock(&threads_lock);
	threads_here++;
	pthread_cond_broadcast(&threads_changed);
	while (!threads_gate)
		pthread_cond_wait(&threads_changed, &threads_lock);
	pthread_mutex_unlock(&threads_lock);
	if (threads_own != me || errno != me || pthread_getspecific(threads_key) != (void *)(me + 1))
		stress_fail(&threads_self, "thread-local data of another");
	if (syscall(SYS_gettid) != threads_tid[me])
		stress_fail(&threads_self, "the id changed");
	return (void *)~me;
}

static int threads_compare(const void *left, const void *right)
{
	return *(const pid_t *)left - *(const pid_t *)right;
}

/* How many threads /proc tells of. */
static long threads_told(void)
{
	char text[8192], *line;

	if (tst_read_file("/proc/self/status", text, sizeof(text)) < 0 || !(line = strstr(text, "\nThreads:")))
		return -1;
	return atol(line + 9);
}

static void threads_all_at_once(void)
{
	pthread_attr_t attributes;
	int started = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 32 * 1024);
	threads_here = threads_gate = 0;
	threads_destroyed = 0;
	for (; started < THREADS_MANY; started++) {
		int error = pthread_create(&threads_thread[started], &attributes, threads_waiter, (void *)(long)started);

		if (error) {
			stress_fail(&threads_self, "pthread_create of thread %d: %s", started, tst_errno(error));
			break;
		}
		stress_progress(&threads_self, 1);
	}
	pthread_mutex_lock(&threads_lock);
	while (threads_here < started)
		pthread_cond_wait(&threads_changed, &threads_lock);
	if (threads_told() < started)
		stress_fail(&threads_self, "/proc/self/status tells of %ld threads", threads_told());
	threads_gate = 1;
	pthread_cond_broadcast(&threads_changed);
	pthread_mutex_unlock(&threads_lock);
	for (long i = 0; i < started; i++) {
		void *result = NULL;

		STRESS_ZERO(&threads_self, pthread_join(threads_thread[i], &result));
		if (result != (void *)~i)
			stress_fail(&threads_self, "thread %ld gives %ld", i, (long)result);
		stress_progress(&threads_self, 1);
	}
	qsort(threads_tid, started, sizeof(*threads_tid), threads_compare);
	for (int i = 1; i < started; i++)
		if (threads_tid[i] == threads_tid[i - 1])
			stress_fail(&threads_self, "two threads have the same id");
	if (threads_destroyed != started)
		stress_fail(&threads_self, "%ld destructors ran", threads_destroyed);
	pthread_attr_destroy(&attributes);
}

static void *threads_detached(void *argument)
{
	(void)argument;
	__atomic_add_fetch(&threads_detached_ended, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void threads_cleanup(void *argument)
{
	++*(long *)argument;
}

static void *threads_cancelled(void *argument)
{
	int files[2];
	char byte;

	MUST(pipe(files));
	pthread_cleanup_push(threads_cleanup, argument);
	/* Nothing ever comes. */
	STRESS_MUST(&threads_self, read(files[0], &byte, 1));
	pthread_cleanup_pop(0);
	return NULL;
}

static void *threads_quick(void *argument)
{
	if ((long)argument % 2)
		pthread_exit((void *)((long)argument * 3));
	return (void *)((long)argument * 3);
}

static void *threads_maker(void *argument)
{
	pthread_attr_t attributes;

	(void)argument;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 32 * 1024);
	while (stress_running()) {
		pthread_t quick[8], detached;
		void *result = NULL;

		for (long i = 0; i < 8; i++)
			STRESS_ZERO(&threads_self, pthread_create(&quick[i], &attributes, threads_quick, (void *)i));
		for (long i = 0; i < 8; i++) {
			STRESS_ZERO(&threads_self, pthread_join(quick[i], &result));
			if (result != (void *)(i * 3))
				stress_fail(&threads_self, "a thread gives %ld", (long)result);
		}
		if (!pthread_create(&detached, &attributes, threads_detached, NULL)) {
			__atomic_add_fetch(&threads_detached_started, 1, __ATOMIC_SEQ_CST);
			STRESS_ZERO(&threads_self, pthread_detach(detached));
		}
		stress_progress(&threads_self, 9);
	}
	pthread_attr_destroy(&attributes);
	return NULL;
}

/* The C library's own signal and a pipe that is closed from outside, a few times. */
static void *threads_canceller(void *argument)
{
	(void)argument;
	for (int i = 0; i < 20 && stress_running(); i++) {
		long cleaned = 0;
		pthread_t thread;
		void *result = NULL;

		STRESS_ZERO(&threads_self, pthread_create(&thread, NULL, threads_cancelled, &cleaned));
		if (i % 2)
			stress_sleep(1000000);
		STRESS_ZERO(&threads_self, pthread_cancel(thread));
		STRESS_ZERO(&threads_self, pthread_join(thread, &result));
		if (result != PTHREAD_CANCELED)
			stress_fail(&threads_self, "a cancelled thread gives %ld", (long)result);
	}
	return NULL;
}

static void threads_body(void)
{
	STRESS_ZERO(&threads_self, pthread_key_create(&threads_key, threads_destructor));
	threads_detached_started = threads_detached_ended = 0;
	threads_all_at_once();
	for (long i = 0; i < 3; i++)
		stress_thread(&threads_self, threads_maker, NULL);
	stress_thread(&threads_self, threads_canceller, NULL);
	stress_join(&threads_self);
	for (int i = 0; i < 400 && threads_detached_ended != threads_detached_started; i++)
		stress_sleep(100000000);
	if (threads_detached_ended != threads_detached_started)
		stress_fail(&threads_self, "%ld detached threads, %ld ended", threads_detached_started, threads_detached_ended);
	pthread_key_delete(threads_key);
}
