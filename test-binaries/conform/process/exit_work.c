/* exit(3) runs atexit functions in reverse order and flushes what stdio holds; the status keeps its lower eight bits. */
#include "../tst.h"

static int order;

static void last(void)
{
	CHECK_EQ(order, 21);
	/* exit_group takes the low byte only: 256 is 0. */
	if (tst_status == 0)
		syscall(SYS_exit_group, 256);
	_exit(tst_status);
}

static void second(void)
{
	order = order * 10 + 1;
}

static void first(void)
{
	order = order * 10 + 2;
}

int main(void)
{
	CHECK_EQ(atexit(last), 0);
	CHECK_EQ(atexit(second), 0);
	CHECK_EQ(atexit(first), 0);
	return tst_done();
}
