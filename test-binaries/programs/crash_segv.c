/* A read through a null pointer, three calls deep, ends with SIGSEGV (status 139). */
#include <stdio.h>
#include <stddef.h>

static __attribute__((noinline)) int reads(const volatile int *where)
{
	return *where + 1;
}

static __attribute__((noinline)) int calls(const volatile int *where)
{
	return reads(where) + 1;
}

int main(void)
{
	puts("before");
	fflush(stdout);
	printf("%d\n", calls(NULL));
	return 0;
}
