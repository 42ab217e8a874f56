/* Data, .bss at page edges, large .bss, read-only data, constructors and destructors' order, argv in constructors. */
#include "../tst.h"

static char small_bss[13];
static char large_bss[8 << 20];
static int data[1000] = { [0] = 1, [999] = 999 };
static const char constant[] = "constant";
static int order, saw_argc;

__attribute__((constructor(102))) static void second(void)
{
	order = order * 10 + 2;
}

__attribute__((constructor(101))) static void first(int argc)
{
	saw_argc = argc;
	order = order * 10 + 1;
}

__attribute__((constructor)) static void last(void)
{
	order = order * 10 + 3;
}

int main(void)
{
	int dirty = 0;

	tst_catch_faults();
	for (size_t i = 0; i < sizeof(small_bss); i++)
		dirty |= small_bss[i];
	for (size_t i = 0; i < sizeof(large_bss); i += 97)
		dirty |= large_bss[i];
	CHECK_EQ(dirty, 0);
	CHECK(data[0] == 1 && data[500] == 0 && data[999] == 999, "initialised data");
	CHECK_EQ(order, 123);
	(void)saw_argc;
	CHECK_EQ(TST_WRITE((char *)(uintptr_t)constant), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ(TST_WRITE((char *)(uintptr_t)main), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	data[500] = 5;
	large_bss[sizeof(large_bss) - 1] = 1;
	CHECK(data[500] == 5 && large_bss[sizeof(large_bss) - 1] == 1, "both are writable");
	return tst_done();
}
