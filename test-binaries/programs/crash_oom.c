/*
 * Takes and touches memory until there is none, up to a number of MiB given as argument. In a VM that has less, it has to end
 * with an error or by a signal, not to hang.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	long limit = argc > 1 ? atol(argv[1]) : 1024;

	puts("before");
	fflush(stdout);
	for (long i = 0; i < limit; i++) {
		char *block = malloc(1 << 20);

		if (!block) {
			puts("malloc failed");
			return 1;
		}
		memset(block, 1, 1 << 20);
	}
	puts("all taken");
	return 0;
}
