/* For programs of random operations that must go the same way on two systems: numbers, and all results in one digest.
 * With SEED=n in the environment the operations are others; with TRACE=1 each is shown on standard error, to find the
 * first that differs. */
#ifndef RANDOM_H
#define RANDOM_H

#include "tst.h"

#include <stdbool.h>

static uint64_t random_state = 88172645463325252;
/* FNV-1a of all that was noted. */
static uint64_t digest = 14695981039346656037ULL;
static bool trace;
/* How many operations there were. */
static long step;

static void random_start(void)
{
	const char *seed = getenv("SEED");

	trace = getenv("TRACE") != NULL;
	if (seed)
		random_state ^= strtoull(seed, NULL, 0) * 0x9e3779b97f4a7c15;
}

/* A number from 0 to below - 1 (xorshift64). */
static unsigned rnd(unsigned below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

__attribute__((unused)) static void add(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		digest = (digest ^ bytes[i]) * 1099511628211ULL;
}

__attribute__((unused)) static void add_number(long value)
{
	add(&value, sizeof(value));
}

/* Notes what a call gave, and errno if that is -1; the text is for the trace. */
__attribute__((format(printf, 2, 3))) static void note(long result, const char *format, ...)
{
	int error = result == -1 ? errno : 0;
	char text[400];
	va_list list;

	add_number(result);
	add_number(error);
	if (!trace)
		return;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	dprintf(STDERR_FILENO, "%ld %s = %lx %s\n", step, text, result, error ? tst_errno(error) : "");
}

/* `rounds` times `each` operations, each round with a line that tells the digest so far. */
static void random_rounds(int rounds, int each, void (*operation)(void))
{
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < each; i++, step++)
			operation();
		tst_pass("operations to %ld: %016llx", step, (unsigned long long)digest);
	}
}

#endif
