/* Recursion without end runs past the stack limit and ends with SIGSEGV (status 139). */
#include <stdio.h>
#include <string.h>

static __attribute__((noinline)) int recurses(int depth)
{
	volatile char frame[1024];

	memset((char *)frame, depth, sizeof(frame));
	return recurses(depth + 1) + frame[depth % 1024];
}

int main(void)
{
	puts("before");
	fflush(stdout);
	return recurses(0);
}
