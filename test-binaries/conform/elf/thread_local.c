/* Thread-local storage of the first thread: initialised, zero, aligned, and errno. */
#include "../tst.h"

static __thread int initialised = 4242;
static __thread char zero[100];
static __thread double aligned __attribute__((aligned(64))) = 1.5;

int main(void)
{
	int dirty = 0;

	CHECK_EQ(initialised, 4242);
	for (size_t i = 0; i < sizeof(zero); i++)
		dirty |= zero[i];
	CHECK_EQ(dirty, 0);
	CHECK(aligned == 1.5 && (uintptr_t)&aligned % 64 == 0, "alignment of 64 bytes");
	initialised++;
	zero[99] = 1;
	CHECK(initialised == 4243 && zero[99] == 1, "it is writable");
	errno = 0;
	CHECK(close(-1) == -1 && errno == EBADF, "errno");
	return tst_done();
}
