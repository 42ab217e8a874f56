/* Time to map, touch and unmap anonymous memory, in nanoseconds a page of 4 KiB. */
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void)
{
	enum { PAGES = 4096, ROUNDS = 8 };
	double touch = 0, unmap = 0;
	for (int round = 0; round < ROUNDS; round++) {
		char *area = mmap(0, PAGES * 4096L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED)
			return 1;
		madvise(area, PAGES * 4096L, MADV_NOHUGEPAGE);
		double start = now();
		for (long page = 0; page < PAGES; page++)
			area[page * 4096] = 1;
		double middle = now();
		munmap(area, PAGES * 4096L);
		touch += middle - start;
		unmap += now() - middle;
	}
	printf("first-touch %.1f ns\n", touch / ROUNDS / PAGES);
	printf("unmap %.1f ns\n", unmap / ROUNDS / PAGES);
	return 0;
}
