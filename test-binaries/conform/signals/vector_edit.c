/* A handler finds the vector registers in its frame, with the upper halves of AVX where there is AVX, and what it writes there is in the registers afterwards. */
#include "../tst.h"

struct header {
	uint64_t features;
	uint64_t rest[7];
};

static volatile int found_low, found_high, wide;

static void handler(int signal, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;
	unsigned char *area = (unsigned char *)context->uc_mcontext.fpregs;
	unsigned char *low = area + 160 + 16 * 7, *high = area + 576 + 16 * 7;
	uint32_t *software = (uint32_t *)(area + 464);

	(void)signal;
	(void)info;
	found_low = low[0] == 0x11 && low[15] == 0x11;
	memset(low, 0x33, 16);
	if (!wide)
		return;
	if (software[0] != 0x46505853 || !(((struct header *)(area + 512))->features & 4)) {
		found_high = -1;
		return;
	}
	found_high = high[0] == 0x22 && high[15] == 0x22;
	memset(high, 0x44, 16);
}

static int all(const unsigned char *bytes, int value)
{
	for (int i = 0; i < 16; i++)
		if (bytes[i] != value)
			return 0;
	return 1;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	unsigned char in[32], out[32];
	long pid = getpid(), tid = syscall(SYS_gettid), result;

	MUST(sigaction(SIGUSR1, &action, NULL));
	memset(in, 0x11, 16);
	memset(in + 16, 0x22, 16);
	__asm__ volatile("movups 0(%[in]), %%xmm7\n\tsyscall\n\tmovups %%xmm7, 0(%[out])"
			 : "=a"(result)
			 : "a"((long)SYS_tgkill), "D"(pid), "S"(tid), "d"((long)SIGUSR1), [in] "r"(in), [out] "r"(out)
			 : "rcx", "r11", "xmm7", "memory");
	CHECK_EQ(result, 0);
	CHECK(found_low && all(out, 0x33), "SSE: found and changed");

	wide = __builtin_cpu_supports("avx");
	if (!wide) {
		tst_conf("no AVX");
		return tst_done();
	}
	__asm__ volatile("vmovups 0(%[in]), %%ymm7\n\tsyscall\n\tvmovups %%ymm7, 0(%[out])\n\tvzeroupper"
			 : "=a"(result)
			 : "a"((long)SYS_tgkill), "D"(pid), "S"(tid), "d"((long)SIGUSR1), [in] "r"(in), [out] "r"(out)
			 : "rcx", "r11", "xmm7", "memory");
	CHECK_EQ(result, 0);
	CHECK(found_high == 1 && all(out, 0x33) && all(out + 16, 0x44), "AVX: found and changed");
	return tst_done();
}
