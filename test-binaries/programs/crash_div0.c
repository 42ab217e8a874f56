/* An integer division by zero ends with SIGFPE (status 136). */
#include <stdio.h>

static __attribute__((noinline)) int divides(int by)
{
	int result;

	/* In assembly: to a compiler the division would be undefined. */
	__asm__ volatile("xorl %%edx, %%edx\n\tidivl %2" : "=a"(result) : "0"(7), "r"(by) : "edx", "cc");
	return result;
}

int main(int argc, char **argv)
{
	(void)argv;
	puts("before");
	fflush(stdout);
	return divides(argc - argc);
}
