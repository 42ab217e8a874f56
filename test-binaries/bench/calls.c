/* Time of an empty system call, of a read of /dev/zero and of clock_gettime by the C library and by the kernel. */
#include "bench.h"
#include <fcntl.h>

static int zero;

static void getppid_round(long count)
{
	for (long i = 0; i < count; i++)
		syscall(SYS_getppid);
}

static void read_round(long count)
{
	char byte;

	for (long i = 0; i < count; i++)
		if (read(zero, &byte, 1) != 1)
			exit(1);
}

static void clock_round(long count)
{
	struct timespec t;

	for (long i = 0; i < count; i++)
		clock_gettime(CLOCK_MONOTONIC, &t);
}

static void clock_call_round(long count)
{
	struct timespec t;

	for (long i = 0; i < count; i++)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
}

int main(void)
{
	bench_report("getppid", getppid_round, 50000);
	zero = open("/dev/zero", O_RDONLY);
	if (zero >= 0)
		bench_report("read-1-byte", read_round, 50000);
	bench_report("clock_gettime", clock_round, 50000);
	bench_report("clock_gettime-syscall", clock_call_round, 50000);
	return 0;
}
