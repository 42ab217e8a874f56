/* conform: dynamic-only libs=-Wl,-z,relro,-z,now */
/* PT_GNU_RELRO: tables of addresses are read-only once the program runs; the stack is not executable. */
#include "../tst.h"

#include <elf.h>
#include <sys/auxv.h>

static int (*const table[])(const char *) = { puts, NULL };

int main(void)
{
	unsigned char code[] = { 0xc3 };
	void (*volatile call)(void) = (void (*)(void))(void *)code;

	tst_catch_faults();
	CHECK(table[0] == puts, "the table is relocated");
	CHECK_EQ(TST_WRITE((char *)(uintptr_t)&table[1]), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ(TST_FAULT(call()), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	return tst_done();
}
