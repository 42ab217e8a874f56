/*
 * Two threads that take turns, a round trip a step: by a futex and by pipes, on one CPU and on two; and by sched_yield on one CPU, a
 * yield a step.
 */
#include "bench.h"

static volatile unsigned word;
static int there[2], back[2], partner_cpu;
static long steps;

static long futex(volatile unsigned *at, int op, unsigned value)
{
	return syscall(SYS_futex, at, op | 128, value, NULL, NULL, 0);
}

static void wait_until(unsigned wanted)
{
	unsigned seen;

	while ((seen = word) != wanted)
		futex(&word, 0, seen);
}

static void *futex_partner(void *argument)
{
	bench_pin(partner_cpu);
	for (long i = 0; i < steps; i++) {
		wait_until(1);
		word = 0;
		futex(&word, 1, 1);
	}
	return argument;
}

static void futex_round(long count)
{
	pthread_t partner;

	steps = count;
	word = 0;
	partner = bench_thread(futex_partner, NULL);
	for (long i = 0; i < count; i++) {
		word = 1;
		futex(&word, 1, 1);
		wait_until(0);
	}
	pthread_join(partner, NULL);
}

static void *pipe_partner(void *argument)
{
	char byte;

	bench_pin(partner_cpu);
	for (long i = 0; i < steps; i++)
		if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
			exit(1);
	return argument;
}

static void pipe_round(long count)
{
	char byte = 0;
	pthread_t partner;

	steps = count;
	partner = bench_thread(pipe_partner, NULL);
	for (long i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			exit(1);
	pthread_join(partner, NULL);
}

static void *yield_partner(void *argument)
{
	bench_pin(0);
	for (long i = 0; i < steps; i++)
		sched_yield();
	return argument;
}

static void yield_round(long count)
{
	pthread_t partner;

	steps = count / 2;
	partner = bench_thread(yield_partner, NULL);
	for (long i = 0; i < count / 2; i++)
		sched_yield();
	pthread_join(partner, NULL);
}

int main(void)
{
	/* Those this thread may use: fewer once it is pinned. */
	int cpus = bench_cpus();

	if (pipe(there) || pipe(back))
		return 1;
	bench_pin(0);
	bench_report("futex-ping-pong-1-cpu", futex_round, 5000);
	bench_report("pipe-ping-pong-1-cpu", pipe_round, 5000);
	bench_report("context-switch", yield_round, 20000);
	if (cpus > 1) {
		partner_cpu = 1;
		bench_report("futex-ping-pong-2-cpus", futex_round, 2000);
		bench_report("pipe-ping-pong-2-cpus", pipe_round, 2000);
	}
	return 0;
}
