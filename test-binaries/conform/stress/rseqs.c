/* conform: libs=-lpthread timeout=60 */
/*
 * Counters for each CPU that are changed in restartable sequences (rseq(2)): a sequence that is left by pre-emption, by a move to
 * another CPU or for a signal begins again, so nothing is lost although nothing is locked.
 */
#include "stress.h"

STRESSOR(rseqs, 1000)

#define RSEQS_SIGNATURE 0x53053053
enum { RSEQS_CPUS = 256, RSEQS_THREADS = 4 };

struct rseqs_area {
	volatile uint32_t cpu_start, cpu;
	volatile uint64_t sequence;
	uint32_t flags, node, mm_cid, end;
} __attribute__((aligned(32)));

/* glibc registers an area of its own in each thread and says where. */
#ifdef __GLIBC__
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));
#endif
static __thread struct rseqs_area rseqs_own;
static __thread struct rseqs_area *rseqs_area;
static __thread long rseqs_count, rseqs_aborts;

static volatile long rseqs_counter[RSEQS_CPUS][8];
static long rseqs_total, rseqs_aborted;
static pid_t rseqs_tid[RSEQS_THREADS];
static int rseqs_leaving;

static void rseqs_register(void)
{
#ifdef __GLIBC__
	if (&__rseq_offset && &__rseq_size && __rseq_size) {
		rseqs_area = (struct rseqs_area *)((char *)__builtin_thread_pointer() + __rseq_offset);
		return;
	}
#endif
	rseqs_area = &rseqs_own;
	STRESS_MUST(&rseqs_self, syscall(SYS_rseq, &rseqs_own, 32, 0, RSEQS_SIGNATURE));
}

/* Loads the counter, takes its time, and stores one more: the store is the last instruction of the sequence. Whether it was done. */
static int rseqs_try(volatile long *counter, uint32_t cpu, long wait)
{
	struct rseqs_area *area = rseqs_area;

	__asm__ volatile goto(
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n"
		"3:\t.long 0, 0\n\t"
		".quad 1f, 2f - 1f, 4f\n\t"
		".popsection\n\t"
		"leaq 3b(%%rip), %%rax\n\t"
		"movq %%rax, 8(%[area])\n"
		"1:\tcmpl %[cpu], 4(%[area])\n\t"
		"jne 4f\n\t"
		"movq (%[counter]), %%rax\n\t"
		"movq %[wait], %%rcx\n"
		"5:\tdecq %%rcx\n\t"
		"jns 5b\n\t"
		"incq %%rax\n\t"
		"movq %%rax, (%[counter])\n"
		"2:\n\t"
		".pushsection __rseq_failure, \"ax\"\n\t"
		".byte 0x0f, 0xb9, 0x3d\n\t"
		".long 0x53053053\n"
		"4:\tjmp %l[aborted]\n\t"
		".popsection"
		:
		: [area] "r"(area), [cpu] "r"(cpu), [counter] "r"(counter), [wait] "r"(wait)
		: "rax", "rcx", "memory", "cc"
		: aborted);
	return 1;
aborted:
	return 0;
}

static void rseqs_increment(long wait)
{
	for (;;) {
		uint32_t cpu = rseqs_area->cpu_start;

		if (cpu >= RSEQS_CPUS) {
			stress_fail(&rseqs_self, "CPU %u", cpu);
			return;
		}
		if (rseqs_try(&rseqs_counter[cpu][0], cpu, wait))
			break;
		rseqs_aborts++;
	}
	rseqs_count++;
}

/* The handler interrupts sequences, and has one of its own. */
static void rseqs_handler(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	rseqs_increment(10);
}

static void *rseqs_thread(void *argument)
{
	unsigned random = (long)argument + 1;
	cpu_set_t all;

	rseqs_register();
	sched_getaffinity(0, sizeof(all), &all);
	rseqs_count = rseqs_aborts = 0;
	__atomic_store_n(&rseqs_tid[(long)argument], syscall(SYS_gettid), __ATOMIC_RELEASE);
	stress_unblock(SIGRTMIN + STRESS_SIG_RSEQ);
	while (stress_running()) {
		unsigned cpu;

		rseqs_increment(1 + stress_random(&random) % 512);
		if (random % 512 == 0) {
			cpu_set_t set;

			CPU_ZERO(&set);
			do
				cpu = stress_random(&random) % CPU_SETSIZE;
			while (!CPU_ISSET(cpu, &all));
			CPU_SET(cpu, &set);
			STRESS_MUST(&rseqs_self, sched_setaffinity(0, sizeof(set), &set));
			/* Nobody else moves it. */
			if (rseqs_area->cpu != cpu || sched_getcpu() != (int)cpu)
				stress_fail(&rseqs_self, "on CPU %u, not %u", rseqs_area->cpu, cpu);
			STRESS_MUST(&rseqs_self, sched_setaffinity(0, sizeof(all), &all));
		}
		stress_progress(&rseqs_self, 1);
	}
	/* Signals still come until the sender has stopped. */
	while (!__atomic_load_n(&rseqs_leaving, __ATOMIC_ACQUIRE))
		sched_yield();
	getpid();
	__atomic_add_fetch(&rseqs_total, rseqs_count, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&rseqs_aborted, rseqs_aborts, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *rseqs_sender(void *argument)
{
	(void)argument;
	while (stress_running()) {
		for (int i = 0; i < RSEQS_THREADS; i++) {
			pid_t tid = __atomic_load_n(&rseqs_tid[i], __ATOMIC_ACQUIRE);

			/* Where too many wait already, nothing is amiss. */
			if (tid && syscall(SYS_tgkill, getpid(), tid, SIGRTMIN + STRESS_SIG_RSEQ) && errno != EAGAIN)
				stress_fail(&rseqs_self, "tgkill: %s", tst_errno(errno));
		}
		stress_sleep(300000);
	}
	__atomic_store_n(&rseqs_leaving, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void rseqs_body(void)
{
	long sum = 0;

	rseqs_total = rseqs_aborted = rseqs_leaving = 0;
	memset((void *)rseqs_counter, 0, sizeof(rseqs_counter));
	memset(rseqs_tid, 0, sizeof(rseqs_tid));
	stress_handle(&rseqs_self, SIGRTMIN + STRESS_SIG_RSEQ, SA_RESTART, rseqs_handler);
	for (long i = 0; i < RSEQS_THREADS; i++)
		stress_thread(&rseqs_self, rseqs_thread, (void *)i);
	stress_thread(&rseqs_self, rseqs_sender, NULL);
	stress_join(&rseqs_self);
	for (int i = 0; i < RSEQS_CPUS; i++)
		sum += rseqs_counter[i][0];
	if (sum != rseqs_total)
		stress_fail(&rseqs_self, "%ld times added, %ld counted", rseqs_total, sum);
	if (!rseqs_aborted)
		stress_fail(&rseqs_self, "no sequence was aborted");
}
