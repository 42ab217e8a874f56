/* conform: libs=-Wl,-z,execstack */
/* PT_GNU_STACK with execute permission: code on the stack runs. */
#include "../tst.h"

int main(void)
{
	/* mov $77, %eax; ret */
	volatile unsigned char code[] = { 0xb8, 77, 0, 0, 0, 0xc3 };
	int (*volatile call)(void) = (int (*)(void))(void *)code;
	volatile int value = 0;

	tst_catch_faults();
	CHECK_EQ(TST_FAULT(value = call()), 0);
	CHECK_EQ(value, 77);
	return tst_done();
}
