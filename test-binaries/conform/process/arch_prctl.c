/* arch_prctl(2): FS and GS bases set and read back, used by segment prefixes; and its errors. */
#include "../tst.h"

enum { SET_GS = 0x1001, SET_FS = 0x1002, GET_FS = 0x1003, GET_GS = 0x1004 };

int main(void)
{
	static unsigned long area[8] = { 11, 22, 33 };
	unsigned long base = 1, value;

	CHECK_EQ(syscall(SYS_arch_prctl, GET_FS, &base), 0);
	__asm__("mov %%fs:0, %0" : "=r"(value));
	CHECK(base == value, "the FS base is what the thread pointer says");
	CHECK_EQ(syscall(SYS_arch_prctl, GET_GS, &base), 0);
	CHECK_EQ(base, 0);
	CHECK_EQ(syscall(SYS_arch_prctl, SET_GS, area), 0);
	__asm__ volatile("mov %%gs:8, %0" : "=r"(value));
	CHECK_EQ(value, 22);
	CHECK_EQ(syscall(SYS_arch_prctl, GET_GS, &base), 0);
	CHECK(base == (unsigned long)area, "the GS base reads back");
	for (int i = 0; i < 100; i++)
		syscall(SYS_getppid);
	MUST(nanosleep(&(struct timespec){ 0, 1000000 }, NULL));
	__asm__ volatile("mov %%gs:16, %0" : "=r"(value));
	CHECK(value == 33, "it outlives system calls and sleeps");
	CHECK_ERR(syscall(SYS_arch_prctl, SET_GS, 1UL << 63), EPERM);
	CHECK_ERR(syscall(SYS_arch_prctl, SET_FS, 0x800000000000), EPERM);
	CHECK_ERR(syscall(SYS_arch_prctl, GET_FS, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
	return tst_done();
}
