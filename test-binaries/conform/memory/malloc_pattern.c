/* 40 MiB in blocks of many sizes, taken, checked, half given back, resized, checked again: the C library's use of brk and mmap. */
#include "../tst.h"

enum { BLOCKS = 2000 };

static unsigned char *block[BLOCKS];
static size_t size[BLOCKS];

static unsigned long state = 12345;

static unsigned long pick(unsigned long below)
{
	state = state * 6364136223846793005UL + 1442695040888963407UL;
	return (state >> 33) % below;
}

static int intact(int i)
{
	for (size_t at = 0; at < size[i]; at += 509)
		if (block[i][at] != (unsigned char)(i + at))
			return 0;
	return 1;
}

static void fill(int i)
{
	for (size_t at = 0; at < size[i]; at += 509)
		block[i][at] = i + at;
}

int main(void)
{
	int wrong = 0, missing = 0, dirty = 0;
	char *big;

	for (int i = 0; i < BLOCKS; i++) {
		size[i] = 1 + (pick(20) ? pick(20000) : pick(400000));
		block[i] = malloc(size[i]);
		missing += !block[i];
		fill(i);
	}
	CHECK_EQ(missing, 0);
	for (int i = 0; i < BLOCKS; i += 2)
		free(block[i]);
	for (int i = 1; i < BLOCKS; i += 2) {
		size_t before = size[i], after = 1 + pick(60000);

		wrong += !intact(i);
		block[i] = realloc(block[i], after);
		size[i] = after < before ? after : before;
		wrong += !intact(i);
		size[i] = after;
		fill(i);
	}
	for (int i = 1; i < BLOCKS; i += 2)
		wrong += !intact(i);
	CHECK_EQ(wrong, 0);
	big = calloc(16, 1 << 20);
	for (size_t at = 0; big && at < 16 << 20; at += 1000)
		dirty += big[at] != 0;
	CHECK(big && !dirty, "16 MiB by calloc are zero");
	return tst_done();
}
