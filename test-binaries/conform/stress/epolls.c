/* conform: libs=-lpthread timeout=60 */
/*
 * Hundreds of eventfds in one epoll instance, several who wait there: by level, by edge, one-shot and nested. What is added is
 * taken, no event is lost, and of an edge or a one-shot entry only one waiter hears.
 */
#include "stress.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

STRESSOR(epolls, 100)

enum { EPOLLS_FILES = 200, EPOLLS_WAITERS = 3, EPOLLS_END = 1000, EPOLLS_INNER = 1001 };
static int epolls_outer, epolls_inner, epolls_file[EPOLLS_FILES], epolls_end;
static long epolls_added, epolls_taken;
/* How many are with a one-shot entry just now. */
static int epolls_busy[EPOLLS_FILES];

/* The last quarter is in the instance that is in the other. */
static int epolls_instance(int index)
{
	return index % 4 == 3 ? epolls_inner : epolls_outer;
}

static unsigned epolls_events(int index)
{
	static const unsigned events[4] = { EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLET };

	return events[index % 4];
}

static void epolls_control(int operation, int index)
{
	struct epoll_event event = { epolls_events(index), { .u32 = index } };

	STRESS_MUST(&epolls_self, epoll_ctl(epolls_instance(index), operation, epolls_file[index], &event));
}

static void epolls_take(int index)
{
	uint64_t value;
	int once = index % 4 == 2;

	if (once && __atomic_add_fetch(&epolls_busy[index], 1, __ATOMIC_SEQ_CST) != 1)
		stress_fail(&epolls_self, "two heard of a one-shot event");
	/* One read takes all there is. */
	while (read(epolls_file[index], &value, 8) == 8) {
		__atomic_add_fetch(&epolls_taken, value, __ATOMIC_SEQ_CST);
		stress_progress(&epolls_self, 1);
	}
	if (errno != EAGAIN)
		stress_fail(&epolls_self, "read: %s", tst_errno(errno));
	if (once) {
		__atomic_sub_fetch(&epolls_busy[index], 1, __ATOMIC_SEQ_CST);
		epolls_control(EPOLL_CTL_MOD, index);
	}
}

static void *epolls_waiter(void *argument)
{
	for (;;) {
		struct epoll_event events[7];
		int count = STRESS_MUST(&epolls_self, epoll_wait(epolls_outer, events, 1 + (long)argument * 3, 40000));

		if (count == 0)
			stress_fail(&epolls_self, "an event was lost");
		for (int i = 0; i < count; i++) {
			int index = events[i].data.u32;

			if (index == EPOLLS_END)
				return NULL;
			if (index == EPOLLS_INNER) {
				struct epoll_event inner[4];
				int more = STRESS_MUST(&epolls_self, epoll_wait(epolls_inner, inner, 4, 0));

				for (int j = 0; j < more; j++)
					epolls_take(inner[j].data.u32);
			} else if (index < EPOLLS_FILES) {
				epolls_take(index);
			} else {
				stress_fail(&epolls_self, "an event of nothing");
			}
		}
	}
}

static void *epolls_adder(void *argument)
{
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		uint64_t value = 1 + stress_random(&random) % 10;
		int index = stress_random(&random) % EPOLLS_FILES;

		STRESS_MUST(&epolls_self, write(epolls_file[index], &value, 8));
		__atomic_add_fetch(&epolls_added, value, __ATOMIC_SEQ_CST);
		if (random % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* Takes entries out and puts them in again; one that is ready then is told of. One-shot entries stay, as they are changed elsewhere. */
static void *epolls_changer(void *argument)
{
	unsigned random = 1234;

	(void)argument;
	while (stress_running()) {
		int index = stress_random(&random) % EPOLLS_FILES;

		if (index % 4 != 2) {
			epolls_control(EPOLL_CTL_DEL, index);
			epolls_control(EPOLL_CTL_ADD, index);
		}
		stress_sleep(50000);
	}
	return NULL;
}

static void epolls_body(void)
{
	struct epoll_event event = { EPOLLIN, { .u32 = EPOLLS_INNER } };
	pthread_t adders[3];
	uint64_t one = 1;

	epolls_added = epolls_taken = 0;
	epolls_outer = MUST(epoll_create1(0));
	epolls_inner = MUST(epoll_create1(0));
	MUST(epoll_ctl(epolls_outer, EPOLL_CTL_ADD, epolls_inner, &event));
	epolls_end = MUST(eventfd(0, 0));
	event.data.u32 = EPOLLS_END;
	MUST(epoll_ctl(epolls_outer, EPOLL_CTL_ADD, epolls_end, &event));
	for (int i = 0; i < EPOLLS_FILES; i++) {
		epolls_file[i] = MUST(eventfd(0, EFD_NONBLOCK));
		epolls_control(EPOLL_CTL_ADD, i);
	}
	for (long i = 0; i < EPOLLS_WAITERS; i++)
		stress_thread(&epolls_self, epolls_waiter, (void *)(i % 3));
	for (long i = 0; i < 2; i++)
		STRESS_ZERO(&epolls_self, pthread_create(&adders[i], NULL, epolls_adder, (void *)i));
	STRESS_ZERO(&epolls_self, pthread_create(&adders[2], NULL, epolls_changer, NULL));
	for (int i = 0; i < 3; i++)
		STRESS_ZERO(&epolls_self, pthread_join(adders[i], NULL));
	for (int i = 0; i < 4000 && __atomic_load_n(&epolls_taken, __ATOMIC_SEQ_CST) != epolls_added; i++)
		stress_sleep(10000000);
	STRESS_MUST(&epolls_self, write(epolls_end, &one, 8));
	stress_join(&epolls_self);
	if (epolls_added != epolls_taken)
		stress_fail(&epolls_self, "%ld added, %ld taken", epolls_added, epolls_taken);
	for (int i = 0; i < EPOLLS_FILES; i++)
		MUST(close(epolls_file[i]));
	MUST(close(epolls_end));
	MUST(close(epolls_inner));
	MUST(close(epolls_outer));
}
