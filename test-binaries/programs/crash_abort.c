/* abort(3) ends with SIGABRT (status 134). */
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline)) void gives_up(void)
{
	abort();
}

int main(void)
{
	puts("before");
	fflush(stdout);
	gives_up();
	return 0;
}
