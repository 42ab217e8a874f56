/* Time of an empty system call, of a read of /dev/zero and of clock_gettime, in nanoseconds a call. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void)
{
	enum { CALLS = 200000 };
	char byte;
	struct timespec t;
	double start = now();
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	printf("getppid %.1f ns\n", (now() - start) / CALLS);

	int zero = open("/dev/zero", O_RDONLY);
	if (zero >= 0) {
		start = now();
		for (int i = 0; i < CALLS; i++)
			if (read(zero, &byte, 1) != 1)
				return 1;
		printf("read-1-byte %.1f ns\n", (now() - start) / CALLS);
	}
	start = now();
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	printf("clock_gettime-syscall %.1f ns\n", (now() - start) / CALLS);
	return 0;
}
