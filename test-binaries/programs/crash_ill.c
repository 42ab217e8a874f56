/* An instruction that does not exist ends with SIGILL (status 132). */
#include <stdio.h>

static __attribute__((noinline)) void executes(void)
{
	__asm__ volatile("ud2");
}

int main(void)
{
	puts("before");
	fflush(stdout);
	executes();
	return 0;
}
