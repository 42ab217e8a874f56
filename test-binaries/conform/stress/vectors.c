/* conform: libs=-lpthread timeout=60 */
/* Vector registers and the modes of floating point: nothing of them is lost or mixed up by other threads, calls, signals or moves. */
#include "stress.h"

STRESSOR(vectors, 100)

enum { VECTORS_THREADS = 5 };
static int vectors_leaving;

static void vectors_handler(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	__asm__ volatile("movq %0, %%xmm0\n\tpunpcklqdq %%xmm0, %%xmm0\n\tmovdqa %%xmm0, %%xmm7\n\tmovdqa %%xmm0, %%xmm15"
			 :
			 : "r"((long)signal)
			 : "xmm0", "xmm7", "xmm15");
}

/* Fills 16 registers, spins or makes a system call meanwhile, and stores them. */
static void vectors_round(const unsigned char *in, unsigned char *out, long spin, long call)
{
	__asm__ volatile("movups 0(%[in]), %%xmm0\n\tmovups 16(%[in]), %%xmm1\n\tmovups 32(%[in]), %%xmm2\n\t"
			 "movups 48(%[in]), %%xmm7\n\tmovups 64(%[in]), %%xmm8\n\tmovups 80(%[in]), %%xmm15\n"
			 "1:\tdecq %[spin]\n\tjns 1b\n\t"
			 "testq %%rax, %%rax\n\tjs 2f\n\tsyscall\n2:\n\t"
			 "movups %%xmm0, 0(%[out])\n\tmovups %%xmm1, 16(%[out])\n\tmovups %%xmm2, 32(%[out])\n\t"
			 "movups %%xmm7, 48(%[out])\n\tmovups %%xmm8, 64(%[out])\n\tmovups %%xmm15, 80(%[out])"
			 : [spin] "+r"(spin), "+a"(call)
			 : [in] "r"(in), [out] "r"(out)
			 : "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm7", "xmm8", "xmm15");
}

/* The same with the upper halves. */
__attribute__((target("avx"))) static void vectors_round_wide(const unsigned char *in, unsigned char *out, long spin, long call)
{
	__asm__ volatile("vmovups 0(%[in]), %%ymm0\n\tvmovups 32(%[in]), %%ymm7\n\tvmovups 64(%[in]), %%ymm15\n"
			 "1:\tdecq %[spin]\n\tjns 1b\n\t"
			 "testq %%rax, %%rax\n\tjs 2f\n\tsyscall\n2:\n\t"
			 "vmovups %%ymm0, 0(%[out])\n\tvmovups %%ymm7, 32(%[out])\n\tvmovups %%ymm15, 64(%[out])\n\tvzeroupper"
			 : [spin] "+r"(spin), "+a"(call)
			 : [in] "r"(in), [out] "r"(out)
			 : "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
			   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void *vectors_thread(void *argument)
{
	unsigned random = (long)argument + 1, wide = __builtin_cpu_supports("avx");
	/* Each thread rounds in a way of its own. */
	unsigned mode = 0x1f80 | (unsigned)((long)argument % 4) << 13, now_mode;
	unsigned short control = 0x037f | ((long)argument % 4) << 10, now_control;

	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mode), "m"(control));
	stress_unblock(SIGRTMIN + STRESS_SIG_FPU);
	while (stress_running()) {
		unsigned char in[96], out[96];
		long call = stress_random(&random) % 2 ? SYS_sched_yield : -1, spin = random % 4096;

		memset(out, 0, sizeof(out));
		for (int i = 0; i < 96; i++)
			in[i] = stress_random(&random);
		if (wide && random & 1)
			vectors_round_wide(in, out, spin, call);
		else
			vectors_round(in, out, spin, call);
		if (memcmp(in, out, sizeof(in)))
			stress_fail(&vectors_self, "a vector register changed");
		__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(now_mode), "=m"(now_control));
		/* The lowest bits are for what happened. */
		if ((now_mode & ~0x3fu) != mode || now_control != control)
			stress_fail(&vectors_self, "the modes are %x and %x, not %x and %x", now_mode, now_control, mode, control);
		stress_progress(&vectors_self, 1);
	}
	/* It is there until the sender has stopped. */
	while (!__atomic_load_n(&vectors_leaving, __ATOMIC_ACQUIRE))
		sched_yield();
	return NULL;
}

static void *vectors_sender(void *argument)
{
	(void)argument;
	while (stress_running()) {
		for (int i = 0; i < VECTORS_THREADS; i++)
			pthread_kill(vectors_self.thread[i], SIGRTMIN + STRESS_SIG_FPU);
		stress_sleep(1000000);
	}
	__atomic_store_n(&vectors_leaving, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void vectors_body(void)
{
	vectors_leaving = 0;
	stress_handle(&vectors_self, SIGRTMIN + STRESS_SIG_FPU, SA_RESTART, vectors_handler);
	for (long i = 0; i < VECTORS_THREADS; i++)
		stress_thread(&vectors_self, vectors_thread, (void *)i);
	stress_thread(&vectors_self, vectors_sender, NULL);
	stress_join(&vectors_self);
}
