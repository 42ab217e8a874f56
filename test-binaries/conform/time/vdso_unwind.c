/* conform: dynamic-only */
/* Every instruction of the vDSO can be unwound, as a profiler's signal may hit each: single steps through its functions. */
#include "../tst.h"
#include <execinfo.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <ucontext.h>

static unsigned long start, end;
static volatile int steps, lost;
static void *caller;

static int bounds(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_addr + info->dlpi_phdr[i].p_vaddr == start)
			end = start + info->dlpi_phdr[i].p_memsz;
	return 0;
}

static void stepped(int signal, siginfo_t *info, void *context)
{
	unsigned long rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	void *trace[16];
	int depth, found = 0;

	(void)signal;
	(void)info;
	if (rip < start || rip >= end)
		return;
	steps++;
	depth = backtrace(trace, 16);
	for (int i = 0; i < depth; i++)
		found |= (char *)trace[i] >= (char *)caller && (char *)trace[i] < (char *)caller + 256;
	lost += !found;
}

/* Sets the trap flag, calls, clears it. */
#define STEPPED(call)                                                                                   \
	do {                                                                                            \
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");              \
		call;                                                                                   \
		__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");            \
	} while (0)

__attribute__((noinline, noclone)) static void calls(void)
{
	struct timespec time;
	struct timeval day;

	STEPPED(clock_gettime(CLOCK_MONOTONIC, &time));
	STEPPED(clock_gettime(CLOCK_REALTIME_COARSE, &time));
	STEPPED(gettimeofday(&day, NULL));
	__asm__ volatile("" ::: "memory");
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = stepped, .sa_flags = SA_SIGINFO };
	struct timespec time;
	void *trace[4];

	start = getauxval(AT_SYSINFO_EHDR);
	dl_iterate_phdr(bounds, NULL);
	CHECK(end > start, "dl_iterate_phdr knows the vDSO");
	/* Symbols are bound and the unwinder is loaded before the steps. */
	backtrace(trace, 4);
	clock_gettime(CLOCK_MONOTONIC, &time);
	gettimeofday(&(struct timeval){ 0, 0 }, NULL);
	caller = (void *)calls;
	MUST(sigaction(SIGTRAP, &action, NULL));
	calls();
	CHECK(steps > 30, "instructions of the vDSO were stepped through");
	CHECK_EQ(lost, 0);
	return tst_done();
}
