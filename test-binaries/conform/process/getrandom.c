/* getrandom(2): bytes that differ, flags, sizes; and its errors. */
#include "../tst.h"

#ifndef GRND_NONBLOCK
#define GRND_NONBLOCK 1
#define GRND_RANDOM 2
#endif
#define INSECURE 4

static long fill(void *buffer, size_t size, unsigned flags)
{
	return syscall(SYS_getrandom, buffer, size, flags);
}

int main(void)
{
	static unsigned char large[1 << 20];
	unsigned char one[32] = { 0 }, two[32] = { 0 };
	int seen[256] = { 0 }, missing = 0;

	CHECK_EQ(fill(one, 32, 0), 32);
	CHECK_EQ(fill(two, 32, GRND_NONBLOCK), 32);
	CHECK(memcmp(one, two, 32), "two calls differ");
	CHECK_EQ(fill(one, 32, GRND_RANDOM), 32);
	CHECK_EQ(fill(one, 32, INSECURE), 32);
	CHECK_EQ(fill(one, 0, 0), 0);
	CHECK_EQ(fill(large, sizeof(large), 0), sizeof(large));
	for (size_t i = 0; i < sizeof(large); i++)
		seen[large[i]]++;
	for (int i = 0; i < 256; i++)
		missing += seen[i] < 3000 || seen[i] > 5200;
	CHECK(!missing, "every byte comes about equally often in a megabyte");
	CHECK_ERR(fill(one, 32, 8), EINVAL);
	CHECK_ERR(fill(one, 32, GRND_RANDOM | INSECURE), EINVAL);
	CHECK_ERR(fill(TST_BAD, 32, 0), EFAULT);
	return tst_done();
}
