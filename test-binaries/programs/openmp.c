/* OpenMP: parallel loops with reductions and schedules, sections, tasks, critical sections, barriers, ordered loops. */
#include <omp.h>
#include <stdio.h>

static long fibonacci(int n)
{
	long a, b;

	if (n < 12)
		return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
#pragma omp task shared(a)
	a = fibonacci(n - 1);
#pragma omp task shared(b)
	b = fibonacci(n - 2);
#pragma omp taskwait
	return a + b;
}

int main(void)
{
	static double values[100000];
	double sum = 0;
	long count = 0, fib = 0, sections = 0;
	int most = 0, phases[4] = { 0 };

	omp_set_dynamic(0);
	omp_set_num_threads(4);
#pragma omp parallel for
	for (int i = 0; i < 100000; i++)
		values[i] = i * 0.5;
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 1000)
	for (int i = 0; i < 100000; i++)
		sum += values[i];
	printf("sum %.1f\n", sum);
#pragma omp parallel reduction(max : most)
	{
		most = omp_get_num_threads();
		for (int i = 0; i < 250; i++) {
#pragma omp critical
			count++;
		}
		for (int phase = 0; phase < 4; phase++) {
#pragma omp atomic
			phases[phase]++;
#pragma omp barrier
			if (phases[phase] != most)
				printf("barrier passed early\n");
		}
	}
	printf("threads %d count %ld\n", most, count);
#pragma omp parallel
#pragma omp single
	fib = fibonacci(22);
	printf("tasks %ld\n", fib);
#pragma omp parallel sections reduction(+ : sections)
	{
#pragma omp section
		sections += 1;
#pragma omp section
		sections += 10;
#pragma omp section
		sections += 100;
	}
	printf("sections %ld\n", sections);
#pragma omp parallel for ordered schedule(static, 1)
	for (int i = 0; i < 8; i++) {
#pragma omp ordered
		printf("%d ", i);
	}
	printf("\n");
	return 2;
}
