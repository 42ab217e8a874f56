/* conform: libs=-lpthread timeout=60 */
/* Threads moved from CPU to CPU, by themselves and by others: each is where it may be when the call returns, and loses nothing. */
#include "stress.h"

STRESSOR(affinities, 100)

enum { AFFINITIES_MOVED = 3 };
static int affinities_cpus[CPU_SETSIZE], affinities_count;
/* What a moved thread may do: a number that grows, and the CPU it is held to; odd while that changes. */
static unsigned affinities_state[AFFINITIES_MOVED];
static pid_t affinities_tid[AFFINITIES_MOVED];
static long affinities_looks[AFFINITIES_MOVED];
static int affinities_leaving;

static int affinities_move(pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return STRESS_MUST(&affinities_self, sched_setaffinity(tid, sizeof(set), &set));
}

static unsigned affinities_here(int by_kernel)
{
	unsigned cpu = ~0u, node;

	if (!by_kernel)
		return sched_getcpu();
	STRESS_MUST(&affinities_self, syscall(SYS_getcpu, &cpu, &node, NULL));
	return cpu;
}

static void *affinities_moved(void *argument)
{
	long me = (long)argument;
	double sum = 0;

	__atomic_store_n(&affinities_tid[me], syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (unsigned round = 0; stress_running(); round++) {
		unsigned before = __atomic_load_n(&affinities_state[me], __ATOMIC_SEQ_CST), here = affinities_here(round & 1);

		if (!(before & 1) && before && __atomic_load_n(&affinities_state[me], __ATOMIC_SEQ_CST) == before &&
		    here != (before >> 1 & 1023))
			stress_fail(&affinities_self, "on CPU %u, held to %u", here, before >> 1 & 1023);
		/* Registers move along. */
		sum = sum * 0.5 + round;
		if (round > 3 && (sum < round || sum > 2.0 * round))
			stress_fail(&affinities_self, "a sum is off");
		__atomic_add_fetch(&affinities_looks[me], 1, __ATOMIC_RELAXED);
		if (round % 64 == 0)
			stress_sleep(100000);
	}
	/* It is there as long as somebody moves it. */
	while (!__atomic_load_n(&affinities_leaving, __ATOMIC_ACQUIRE))
		stress_sleep(1000000);
	return NULL;
}

static void *affinities_mover(void *argument)
{
	unsigned random = 3, number = 0;

	(void)argument;
	while (stress_running()) {
		int which = stress_random(&random) % AFFINITIES_MOVED, cpu = affinities_cpus[stress_random(&random) % affinities_count];
		pid_t tid = __atomic_load_n(&affinities_tid[which], __ATOMIC_ACQUIRE);
		long looks = __atomic_load_n(&affinities_looks[which], __ATOMIC_RELAXED);
		cpu_set_t set;

		if (!tid) {
			sched_yield();
			continue;
		}
		__atomic_or_fetch(&affinities_state[which], 1, __ATOMIC_SEQ_CST);
		affinities_move(tid, cpu);
		number++;
		__atomic_store_n(&affinities_state[which], number << 11 | (unsigned)cpu << 1, __ATOMIC_SEQ_CST);
		STRESS_MUST(&affinities_self, sched_getaffinity(tid, sizeof(set), &set));
		if (CPU_COUNT(&set) != 1 || !CPU_ISSET(cpu, &set))
			stress_fail(&affinities_self, "another set is told");
		/* It gets on there. */
		for (int i = 0; i < 400 && stress_running(); i++) {
			if (__atomic_load_n(&affinities_looks[which], __ATOMIC_RELAXED) > looks + 3)
				break;
			stress_sleep(100000);
		}
		stress_progress(&affinities_self, 1);
	}
	__atomic_store_n(&affinities_leaving, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *affinities_wanderer(void *argument)
{
	unsigned random = (long)argument + 10;

	while (stress_running()) {
		int cpu = affinities_cpus[stress_random(&random) % affinities_count];

		affinities_move(0, cpu);
		for (int i = 0; i < 4; i++)
			if (affinities_here(i & 1) != (unsigned)cpu)
				stress_fail(&affinities_self, "on CPU %u after a move to %d", affinities_here(1), cpu);
		if (random % 8 == 0)
			stress_sleep(50000);
		if (affinities_here(1) != (unsigned)cpu)
			stress_fail(&affinities_self, "a sleep ended on another CPU");
		stress_progress(&affinities_self, 1);
	}
	return NULL;
}

static void affinities_body(void)
{
	cpu_set_t all;

	MUST(sched_getaffinity(0, sizeof(all), &all));
	affinities_count = affinities_leaving = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all))
			affinities_cpus[affinities_count++] = cpu;
	memset(affinities_state, 0, sizeof(affinities_state));
	memset(affinities_tid, 0, sizeof(affinities_tid));
	for (long i = 0; i < AFFINITIES_MOVED; i++)
		stress_thread(&affinities_self, affinities_moved, (void *)i);
	stress_thread(&affinities_self, affinities_mover, NULL);
	for (long i = 0; i < 2; i++)
		stress_thread(&affinities_self, affinities_wanderer, (void *)i);
	stress_join(&affinities_self);
}
