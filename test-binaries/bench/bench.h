/* What the benchmarks share: time, and medians of several rounds, so that one disturbance does not decide. */
#ifndef BENCH_H
#define BENCH_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BENCH_ROUNDS 7

static double bench_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Prints the median of what `round` takes, in nanoseconds for each of its `count` steps. A first round does not count. */
__attribute__((unused)) static void bench_report(const char *name, void (*round)(long), long count)
{
	double took[BENCH_ROUNDS];

	round(count / 10 + 1);
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		double start = bench_now();
		round(count);
		took[i] = (bench_now() - start) / count;
	}
	qsort(took, BENCH_ROUNDS, sizeof(*took), bench_compare);
	printf("%s %.1f ns\n", name, took[BENCH_ROUNDS / 2]);
	fflush(stdout);
}

/* Puts the calling thread on one CPU. */
__attribute__((unused)) static void bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("sched_setaffinity");
		exit(1);
	}
}

__attribute__((unused)) static int bench_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

__attribute__((unused)) static pthread_t bench_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, argument)) {
		fprintf(stderr, "pthread_create failed\n");
		exit(1);
	}
	return thread;
}
#endif
