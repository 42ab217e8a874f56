/* conform: libs=-lpthread timeout=60 */
/* Futexes: a lock made of one, turns taken, bits, requeueing, several at a time, shared pages: every wake-up is accounted for. */
#include "stress.h"

STRESSOR(futex, 200)

/* linux/futex.h, which musl does not have. */
enum {
	FUTEX_WAIT = 0,
	FUTEX_WAKE = 1,
	FUTEX_CMP_REQUEUE = 4,
	FUTEX_WAKE_OP = 5,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET = 10,
	FUTEX_PRIVATE = 128,
	FUTEX_32 = 2,
};
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* A wake-up that has not come by then is lost. */
#define FUTEX_PATIENCE 40

struct futex_waitv_entry {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static long futex_call(unsigned *word, int op, unsigned value, long time, unsigned *second, unsigned third)
{
	return syscall(SYS_futex, word, op, value, time, second, third);
}

/* Waits for a change from `value`; a wait that runs out though the word changed long ago has lost its wake-up. */
static int futex_wait(unsigned *word, unsigned value, int private, const char *what)
{
	struct timespec patience = { FUTEX_PATIENCE, 0 };
	long result = futex_call(word, FUTEX_WAIT | private, value, (long)&patience, NULL, 0);

	if (result == 0)
		return 0;
	if (errno == ETIMEDOUT)
		stress_fail(&futex_self, "%s: a wake-up was lost", what);
	else if (errno != EAGAIN && errno != EINTR)
		stress_fail(&futex_self, "%s: %s", what, tst_errno(errno));
	return errno;
}

/* A lock: 0 free, 1 taken, 2 taken with waiters. */
static unsigned futex_lock;
static long futex_guarded;

static void *futex_locker(void *argument)
{
	long own = 0;

	(void)argument;
	while (stress_running()) {
		unsigned seen = 0;

		if (!__atomic_compare_exchange_n(&futex_lock, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			while (__atomic_exchange_n(&futex_lock, 2, __ATOMIC_ACQUIRE))
				futex_wait(&futex_lock, 2, FUTEX_PRIVATE, "lock");
		}
		futex_guarded++;
		own++;
		if (own % 64 == 0)
			sched_yield();
		if (__atomic_exchange_n(&futex_lock, 0, __ATOMIC_RELEASE) == 2)
			futex_call(&futex_lock, FUTEX_WAKE | FUTEX_PRIVATE, 1, 0, NULL, 0);
		stress_progress(&futex_self, 1);
	}
	return (void *)own;
}

/* Two threads take turns on a word; a pair in shared memory sees it at two addresses. */
struct futex_turns {
	unsigned *word;
	int private;
	unsigned me;
};
static const unsigned FUTEX_OVER = 1u << 31;

static void *futex_turn(void *argument)
{
	struct futex_turns *turns = argument;
	unsigned *word = turns->word, me = turns->me;

	for (;;) {
		unsigned now = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		if (now & FUTEX_OVER)
			break;
		if ((now & 1) != me) {
			futex_wait(word, now, turns->private, "turns");
			continue;
		}
		now = stress_running() ? (now + 1) & ~FUTEX_OVER : now | FUTEX_OVER;
		__atomic_store_n(word, now, __ATOMIC_RELEASE);
		STRESS_MUST(&futex_self, futex_call(word, FUTEX_WAKE | turns->private, 1, 0, NULL, 0));
		stress_progress(&futex_self, 1);
	}
	return NULL;
}

/* Waiters that count being woken, and one who wakes, by bits and by moving them to a second word. */
enum { FUTEX_WAITERS = 4 };
static unsigned futex_first, futex_second;
static long futex_woken, futex_wakes;
static int futex_leaving;

static void *futex_waiter(void *argument)
{
	unsigned bit = 1u << (long)argument;

	while (!__atomic_load_n(&futex_leaving, __ATOMIC_ACQUIRE)) {
		struct timespec end;

		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_nsec += 5000000;
		end.tv_sec += end.tv_nsec / 1000000000;
		end.tv_nsec %= 1000000000;
		if (futex_call(&futex_first, FUTEX_WAIT_BITSET | FUTEX_PRIVATE, 0, (long)&end, NULL, bit) == 0) {
			__atomic_add_fetch(&futex_woken, 1, __ATOMIC_SEQ_CST);
			stress_progress(&futex_self, 1);
		} else if (errno == ETIMEDOUT) {
			if (tst_now(CLOCK_MONOTONIC) < end.tv_sec * 1000000000LL + end.tv_nsec)
				stress_fail(&futex_self, "a wait ended before its time");
		} else if (errno != EAGAIN && errno != EINTR) {
			stress_fail(&futex_self, "WAIT_BITSET: %s", tst_errno(errno));
		}
	}
	return NULL;
}

static void *futex_waker(void *argument)
{
	(void)argument;
	for (unsigned round = 0; stress_running(); round++) {
		unsigned bit = 1u << round % FUTEX_WAITERS;
		long woken = STRESS_MUST(&futex_self,
					 futex_call(&futex_first, FUTEX_WAKE_BITSET | FUTEX_PRIVATE, 4, 0, NULL, bit));
		long moved;

		if (woken > 1)
			stress_fail(&futex_self, "%ld waiters have a bit of their own", woken);
		futex_wakes += woken;
		/* One is woken, the others move; the return value counts both. */
		moved = futex_call(&futex_first, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE, 1, 100, &futex_second, 0);
		if (moved > FUTEX_WAITERS)
			stress_fail(&futex_self, "%ld waiters were there", moved);
		STRESS_MUST(&futex_self, moved);
		futex_wakes += moved > 0;
		if (round % 4 == 0)
			stress_sleep(1000000);
		futex_wakes += STRESS_MUST(&futex_self, futex_call(&futex_second, FUTEX_WAKE | FUTEX_PRIVATE, 100, 0, NULL, 0));
		if (round % 8 == 0) {
			/* Adds 0 to the second word, and wakes there too if that was 0. */
			long result = futex_call(&futex_first, FUTEX_WAKE_OP | FUTEX_PRIVATE, 1, 1, &futex_second,
						 1 << 28);

			futex_wakes += STRESS_MUST(&futex_self, result);
		}
		sched_yield();
	}
	__atomic_store_n(&futex_leaving, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* One waits for any of three words; another changes them in turn. */
static unsigned futex_many[3], futex_many_seen;

static void *futex_many_waiter(void *argument)
{
	unsigned seen[3] = { 0 };
	long changes = 0;

	(void)argument;
	for (;;) {
		struct futex_waitv_entry waits[3];
		struct timespec end;
		long index;

		for (int i = 0; i < 3; i++) {
			unsigned now = __atomic_load_n(&futex_many[i], __ATOMIC_ACQUIRE);

			changes += now - seen[i];
			seen[i] = now;
			waits[i] = (struct futex_waitv_entry){ now, (uintptr_t)&futex_many[i], FUTEX_32 | FUTEX_PRIVATE, 0 };
		}
		__atomic_store_n(&futex_many_seen, (unsigned)changes, __ATOMIC_RELEASE);
		futex_call(&futex_many_seen, FUTEX_WAKE | FUTEX_PRIVATE, 1, 0, NULL, 0);
		if (seen[0] & FUTEX_OVER)
			break;
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += FUTEX_PATIENCE;
		index = syscall(SYS_futex_waitv, waits, 3, 0, &end, CLOCK_MONOTONIC);
		/* The change may have been seen before its wake-up came, so the word named need not be one that changes now. */
		if (index > 2)
			stress_fail(&futex_self, "futex_waitv names word %ld of 3", index);
		if (index < 0 && errno == ETIMEDOUT)
			stress_fail(&futex_self, "waitv: a wake-up was lost");
		else if (index < 0 && errno != EAGAIN && errno != EINTR)
			stress_fail(&futex_self, "waitv: %s", tst_errno(errno));
		stress_progress(&futex_self, 1);
	}
	return NULL;
}

static void *futex_many_waker(void *argument)
{
	unsigned sent = 0;

	(void)argument;
	while (stress_running()) {
		unsigned *word = &futex_many[sent % 3], seen;

		__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
		sent++;
		STRESS_MUST(&futex_self, futex_call(word, FUTEX_WAKE | FUTEX_PRIVATE, 1, 0, NULL, 0));
		while ((seen = __atomic_load_n(&futex_many_seen, __ATOMIC_ACQUIRE)) != sent)
			futex_wait(&futex_many_seen, seen, FUTEX_PRIVATE, "answer");
	}
	__atomic_or_fetch(&futex_many[0], FUTEX_OVER, __ATOMIC_RELEASE);
	futex_call(&futex_many[0], FUTEX_WAKE | FUTEX_PRIVATE, 1, 0, NULL, 0);
	return NULL;
}

static void futex_body(void)
{
	static struct futex_turns turns[6];
	static unsigned words[3];
	int file = MUST(memfd_create("futex", 0));
	unsigned *view[2];
	long locked;

	MUST(ftruncate(file, 4096));
	for (int i = 0; i < 2; i++) {
		view[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		if (view[i] == MAP_FAILED)
			tst_brk("mmap");
	}
	MUST(close(file));
	futex_lock = futex_guarded = futex_woken = futex_wakes = futex_leaving = futex_many_seen = 0;
	memset(futex_many, 0, sizeof(futex_many));
	memset(words, 0, sizeof(words));
	for (int i = 0; i < 4; i++)
		stress_thread(&futex_self, futex_locker, NULL);
	for (unsigned i = 0; i < 6; i++) {
		turns[i] = (struct futex_turns){ &words[i / 2], FUTEX_PRIVATE, i % 2 };
		if (i >= 4)
			turns[i] = (struct futex_turns){ view[i % 2], 0, i % 2 };
		stress_thread(&futex_self, futex_turn, &turns[i]);
	}
	for (long i = 0; i < FUTEX_WAITERS; i++)
		stress_thread(&futex_self, futex_waiter, (void *)i);
	stress_thread(&futex_self, futex_waker, NULL);
	stress_thread(&futex_self, futex_many_waiter, NULL);
	stress_thread(&futex_self, futex_many_waker, NULL);
	locked = stress_join(&futex_self);
	if (locked != futex_guarded)
		stress_fail(&futex_self, "%ld times locked, %ld counted", locked, futex_guarded);
	if (futex_woken != futex_wakes)
		stress_fail(&futex_self, "%ld wakes, %ld woken", futex_wakes, futex_woken);
	for (int i = 0; i < 2; i++)
		MUST(munmap(view[i], 4096));
}
