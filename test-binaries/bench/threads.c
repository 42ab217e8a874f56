/* Starting a thread and waiting for its end, one after another and in portions of 16; with all CPUs there are. */
#include "bench.h"

static void *nothing(void *argument)
{
	return argument;
}

static void one_round(long count)
{
	for (long i = 0; i < count; i++)
		pthread_join(bench_thread(nothing, NULL), NULL);
}

static void portion_round(long count)
{
	pthread_t threads[16];

	for (long i = 0; i < count; i += 16) {
		for (int j = 0; j < 16; j++)
			threads[j] = bench_thread(nothing, NULL);
		for (int j = 0; j < 16; j++)
			pthread_join(threads[j], NULL);
	}
}

int main(void)
{
	bench_report("create-join", one_round, 500);
	bench_report("create-join-16", portion_round, 800);
	return 0;
}
