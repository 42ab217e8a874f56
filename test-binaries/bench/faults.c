/* Several threads that map, touch and unmap memory at once: nanoseconds a page that all of them together touch. */
#include "bench.h"
#include <sys/mman.h>

enum { PAGES = 64, THREADS = 4 };
static long rounds;

static char *area_of(void)
{
	char *area = mmap(0, PAGES * 4096L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		exit(1);
	madvise(area, PAGES * 4096L, MADV_NOHUGEPAGE);
	return area;
}

static void *mapper(void *argument)
{
	for (long round = 0; round < rounds; round++) {
		char *area = area_of();

		for (long page = 0; page < PAGES; page++)
			area[page * 4096] = 1;
		munmap(area, PAGES * 4096L);
	}
	return argument;
}

static void run(int threads, long pages)
{
	pthread_t thread[THREADS];

	rounds = pages / PAGES / threads;
	for (int i = 0; i < threads; i++)
		thread[i] = bench_thread(mapper, NULL);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

static void one(long pages)
{
	run(1, pages);
}

static void many(long pages)
{
	run(THREADS, pages);
}

static char *shared;

static void protect(long count)
{
	for (long i = 0; i < count; i++) {
		mprotect(shared, 4096, PROT_READ);
		mprotect(shared, 4096, PROT_READ | PROT_WRITE);
		*shared = 1;
	}
}

int main(void)
{
	bench_report("map-touch-unmap-1-thread", one, 20480);
	bench_report("map-touch-unmap-4-threads", many, 20480);
	shared = area_of();
	bench_report("mprotect-twice-and-touch", protect, 5000);
	return 0;
}
