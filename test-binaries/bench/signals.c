/* A signal to oneself, its handler and the return from it; and the same by a fault on memory that may not be read. */
#include "bench.h"
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

static volatile long handled;
static char *page;

static void handler(int signal)
{
	handled += signal != 0;
}

static void fault_handler(int signal)
{
	handled += signal != 0;
	mprotect(page, 4096, PROT_READ);
}

static void signal_round(long count)
{
	pid_t pid = getpid(), tid = syscall(SYS_gettid);

	for (long i = 0; i < count; i++)
		syscall(SYS_tgkill, pid, tid, SIGUSR1);
}

static void fault_round(long count)
{
	for (long i = 0; i < count; i++) {
		mprotect(page, 4096, PROT_NONE);
		(void)*(volatile char *)page;
	}
}

int main(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = fault_handler;
	sigaction(SIGSEGV, &action, NULL);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 1;
	bench_report("signal-and-return", signal_round, 10000);
	bench_report("fault-signal-and-return", fault_round, 5000);
	return handled > 0 ? 0 : 1;
}
