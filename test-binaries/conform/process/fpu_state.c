/* Vector and floating-point registers survive system calls, sleeps and the timer. */
#include "../tst.h"

int main(void)
{
	unsigned char in[256], out[256];
	double third = 1, check;
	int wrong = 0;

	for (int i = 0; i < 256; i++)
		in[i] = i * 7 + 1;
	for (int round = 0; round < 50; round++) {
		struct timespec pause = { 0, 200000 };
		long result;

		__asm__ volatile("movdqu (%1), %%xmm0; movdqu 16(%1), %%xmm1; movdqu 112(%1), %%xmm7\n\t"
				 "movdqu 128(%1), %%xmm8; movdqu 240(%1), %%xmm15\n\t"
				 "syscall\n\t"
				 "movdqu %%xmm0, (%3); movdqu %%xmm1, 16(%3); movdqu %%xmm7, 112(%3)\n\t"
				 "movdqu %%xmm8, 128(%3); movdqu %%xmm15, 240(%3)"
				 : "=a"(result)
				 : "r"(in), "0"((long)SYS_nanosleep), "r"(out), "D"(&pause), "S"(0L)
				 : "rcx", "r11", "xmm0", "xmm1", "xmm7", "xmm8", "xmm15", "memory");
		wrong += result != 0 || memcmp(in, out, 32) || memcmp(in + 112, out + 112, 32) || memcmp(in + 240, out + 240, 16);
	}
	CHECK_EQ(wrong, 0);

	/* Long enough to be interrupted many times. */
	long long start = tst_now(CLOCK_MONOTONIC);
	wrong = 0;
	while (tst_now(CLOCK_MONOTONIC) - start < 200000000) {
		check = 1;
		for (int i = 0; i < 20000; i++) {
			check = check * 1.0000001 + 1e-9;
			third += 1.0 / 3;
		}
		wrong += check < 1.00202 || check > 1.00203;
	}
	CHECK_EQ(wrong, 0);
	CHECK(third > 1, "floating-point arithmetic");
	return tst_done();
}
