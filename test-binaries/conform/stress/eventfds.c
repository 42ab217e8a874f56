/* conform: libs=-lpthread timeout=60 */
/* Eventfds as counters and as semaphores between threads: what is added is taken, once, and who waits is woken. */
#include "stress.h"
#include <poll.h>
#include <sys/eventfd.h>

STRESSOR(eventfds, 100)

/* A plain counter, a semaphore, and a plain one that does not block but is polled. */
enum { EVENTFDS_PLAIN, EVENTFDS_SEMAPHORE, EVENTFDS_POLLED, EVENTFDS_KINDS };
enum { EVENTFDS_TAKERS = 2 };
static int eventfds_file[EVENTFDS_KINDS], eventfds_over;
static long eventfds_added[EVENTFDS_KINDS], eventfds_taken[EVENTFDS_KINDS];
/* More than all that is ever added: whoever takes it, perhaps with the rest, is at the end. */
static const uint64_t EVENTFDS_END = 1ull << 48;

static void eventfds_add(int which, uint64_t value)
{
	if (STRESS_MUST(&eventfds_self, write(eventfds_file[which], &value, 8)) != 8)
		stress_fail(&eventfds_self, "write");
}

static void *eventfds_adder(void *argument)
{
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		int which = stress_random(&random) % EVENTFDS_KINDS;
		uint64_t value = 1 + random % (which == EVENTFDS_SEMAPHORE ? 3 : 1000);

		eventfds_add(which, value);
		__atomic_add_fetch(&eventfds_added[which], value, __ATOMIC_SEQ_CST);
		if (random % 4 == 0)
			sched_yield();
		stress_progress(&eventfds_self, 1);
	}
	return NULL;
}

static uint64_t eventfds_take(int which)
{
	uint64_t value;

	for (;;) {
		struct pollfd entry = { eventfds_file[which], POLLIN, 0 };
		ssize_t got = read(eventfds_file[which], &value, 8);

		if (got == 8)
			return value;
		if (got < 0 && errno == EAGAIN && which == EVENTFDS_POLLED) {
			int count = poll(&entry, 1, 40000);

			if (count == 0)
				stress_fail(&eventfds_self, "a wake-up was lost");
			else if (count < 0)
				stress_fail(&eventfds_self, "poll: %s", tst_errno(errno));
			continue;
		}
		stress_fail(&eventfds_self, "read: %s", tst_errno(errno));
		return EVENTFDS_END;
	}
}

static void *eventfds_taker(void *argument)
{
	int which = (long)argument;
	uint64_t value;

	do {
		value = eventfds_take(which);
		__atomic_add_fetch(&eventfds_taken[which], value % EVENTFDS_END, __ATOMIC_SEQ_CST);
		stress_progress(&eventfds_self, 1);
	} while (value < EVENTFDS_END);
	return NULL;
}

static void *eventfds_unit_taker(void *argument)
{
	long taken;

	(void)argument;
	do {
		if (eventfds_take(EVENTFDS_SEMAPHORE) != 1)
			stress_fail(&eventfds_self, "a semaphore gave more than 1");
		taken = __atomic_add_fetch(&eventfds_taken[EVENTFDS_SEMAPHORE], 1, __ATOMIC_SEQ_CST);
		/* After the end there is one more for each. */
	} while (!__atomic_load_n(&eventfds_over, __ATOMIC_SEQ_CST) || taken <= eventfds_added[EVENTFDS_SEMAPHORE]);
	return NULL;
}

static void eventfds_body(void)
{
	pthread_t adders[3];

	for (int i = 0; i < EVENTFDS_KINDS; i++) {
		static const int flags[EVENTFDS_KINDS] = { 0, EFD_SEMAPHORE, EFD_NONBLOCK };

		eventfds_file[i] = MUST(eventfd(0, flags[i]));
		eventfds_added[i] = eventfds_taken[i] = 0;
	}
	eventfds_over = 0;
	for (int i = 0; i < EVENTFDS_TAKERS; i++)
		stress_thread(&eventfds_self, eventfds_unit_taker, NULL);
	stress_thread(&eventfds_self, eventfds_taker, (void *)EVENTFDS_PLAIN);
	stress_thread(&eventfds_self, eventfds_taker, (void *)EVENTFDS_POLLED);
	for (long i = 0; i < 3; i++)
		STRESS_ZERO(&eventfds_self, pthread_create(&adders[i], NULL, eventfds_adder, (void *)i));
	for (int i = 0; i < 3; i++)
		STRESS_ZERO(&eventfds_self, pthread_join(adders[i], NULL));
	__atomic_store_n(&eventfds_over, 1, __ATOMIC_SEQ_CST);
	eventfds_add(EVENTFDS_PLAIN, EVENTFDS_END);
	eventfds_add(EVENTFDS_POLLED, EVENTFDS_END);
	eventfds_add(EVENTFDS_SEMAPHORE, EVENTFDS_TAKERS);
	stress_join(&eventfds_self);
	eventfds_added[EVENTFDS_SEMAPHORE] += EVENTFDS_TAKERS;
	for (int i = 0; i < EVENTFDS_KINDS; i++) {
		if (eventfds_added[i] != eventfds_taken[i])
			stress_fail(&eventfds_self, "%ld added, %ld taken", eventfds_added[i], eventfds_taken[i]);
		MUST(close(eventfds_file[i]));
	}
}
