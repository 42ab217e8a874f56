/* conform: libs=-lpthread timeout=60 */
/* More busy threads than CPUs, some yielding, some of other priorities: every one gets on, on the CPUs it may use and no other. */
#include "stress.h"

STRESSOR(yields, 100)

enum { YIELDS_THREADS = 8 };
static int yields_cpus;

static void *yields_thread(void *argument)
{
	long me = (long)argument;
	int one = me % 2 ? (int)(me / 2 % yields_cpus) : -1, nth = 0, cpu = -1;
	cpu_set_t all, set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(all), &all);
	if (one >= 0) {
		for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &all) && nth++ == one)
				break;
		CPU_SET(cpu, &set);
		STRESS_MUST(&yields_self, sched_setaffinity(0, sizeof(set), &set));
	}
	/* The threads of lower priority still get on. */
	if (me >= 6)
		STRESS_MUST(&yields_self, syscall(SYS_setpriority, 0, syscall(SYS_gettid), 5));
	/* Once at least: that a thread never has its turn shows as a hang. */
	do {
		if (cpu >= 0 && sched_getcpu() != cpu)
			stress_fail(&yields_self, "a thread of one CPU runs on another");
		if (me % 4 < 2) {
			STRESS_MUST(&yields_self, sched_yield());
		} else {
			for (volatile int i = 0; i < 2000; i++)
				;
		}
		stress_progress(&yields_self, 1);
	} while (stress_running());
	return NULL;
}

static void yields_body(void)
{
	cpu_set_t all;

	MUST(sched_getaffinity(0, sizeof(all), &all));
	yields_cpus = CPU_COUNT(&all);
	for (long i = 0; i < YIELDS_THREADS; i++)
		stress_thread(&yields_self, yields_thread, (void *)i);
	stress_join(&yields_self);
}
