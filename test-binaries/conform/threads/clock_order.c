/* conform: libs=-lpthread timeout=20 */
/* Time does not go back from one thread to another: threads on all CPUs, some of which change CPU all the time, hand each other the latest
 * reading of a clock, taken by the vDSO and by the system call in turn. */
#include "../tst.h"
#include <pthread.h>
#include <sched.h>

#define THREADS 4
#define CLOCK_NS 200000000LL

static volatile clockid_t clock_id;
static long long latest __attribute__((aligned(64)));
static pthread_barrier_t barrier;
static volatile int back, own_back, wrong_cpu;
static int cpus[64], cpu_count;

static long long by_call(clockid_t clock)
{
	struct timespec now;

	if (syscall(SYS_clock_gettime, clock, &now))
		return 0;
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return;
	if (sched_getcpu() != cpu)
		wrong_cpu = 1;
}

static void exchange(long number, long long end)
{
	clockid_t clock = clock_id;
	unsigned round = number;
	long long own = 0, now;

	do {
		long long seen = __atomic_load_n(&latest, __ATOMIC_ACQUIRE);

		now = round++ & 1 ? tst_now(clock) : by_call(clock);
		if (now < seen)
			back = 1;
		if (now < own)
			own_back = 1;
		own = now;
		while (now > seen && !__atomic_compare_exchange_n(&latest, &seen, now, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			;
		if (number & 1 && !(round % 64))
			move_to(cpus[(round / 64 + number) % cpu_count]);
	} while (tst_now(CLOCK_MONOTONIC) < end);
}

static void *run(void *argument)
{
	long number = (long)argument;

	move_to(cpus[number % cpu_count]);
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (clock_id < 0)
			return NULL;
		exchange(number, tst_now(CLOCK_MONOTONIC) + CLOCK_NS);
		pthread_barrier_wait(&barrier);
	}
}

int main(void)
{
	static const struct {
		clockid_t id;
		const char *name;
	} clocks[] = {
		{ CLOCK_MONOTONIC, "CLOCK_MONOTONIC" },
		{ CLOCK_BOOTTIME, "CLOCK_BOOTTIME" },
		{ CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW" },
		{ CLOCK_REALTIME, "CLOCK_REALTIME" },
		{ CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE" },
		{ CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID" },
	};
	pthread_t threads[THREADS];
	cpu_set_t set;

	MUST(sched_getaffinity(0, sizeof(set), &set));
	for (int cpu = 0; cpu < CPU_SETSIZE && cpu_count < 64; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[cpu_count++] = cpu;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)i))
			tst_brk("pthread_create");
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		clock_id = clocks[i].id;
		latest = back = own_back = 0;
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		CHECK(latest > 0 && !back, "%s does not go back from one thread to another", clocks[i].name);
		CHECK(!own_back, "nor for one thread");
	}
	clock_id = -1;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(!wrong_cpu, "a thread is on the CPU that it was moved to");
	return tst_done();
}
