/* The stack grows on demand up to RLIMIT_STACK, any page first, and no further. */
#include "../tst.h"

#include <sys/resource.h>

static __attribute__((noinline)) int descend(int depth)
{
	volatile char frame[8192];

	frame[0] = depth;
	frame[8191] = depth;
	return depth ? descend(depth - 1) + (frame[0] == (char)depth && frame[8191] == (char)depth) : 0;
}

int main(void)
{
	struct rlimit limit;
	char local;
	char *below = (char *)((uintptr_t)&local & -TST_PAGE) - 4 * 1024 * 1024;

	stack_t other = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction action = { .sa_sigaction = tst_fault_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	MUST(getrlimit(RLIMIT_STACK, &limit));
	CHECK(limit.rlim_cur == 8 << 20, "the limit is 8 MiB");
	tst_catch_faults();
	MUST(sigaltstack(&other, NULL));
	MUST(sigaction(SIGSEGV, &action, NULL));
	limit.rlim_cur = 2 << 20;
	MUST(setrlimit(RLIMIT_STACK, &limit));
	CHECK(TST_WRITE(below) == SIGSEGV, "a limit that is lowered counts at once");
	limit.rlim_cur = 8 << 20;
	MUST(setrlimit(RLIMIT_STACK, &limit));
	CHECK(TST_WRITE(below) == 0, "a page 4 MiB below the stack pointer can be touched first");
	CHECK(below[1] == 0 && below[TST_PAGE] == 0, "it is zero");
	CHECK(descend(800) == 800, "6.5 MiB of frames");
	CHECK(TST_WRITE(below - 6 * 1024 * 1024) == SIGSEGV, "10 MiB below it faults");
	CHECK_EQ(TST_FAULT(descend(100000)), SIGSEGV);
	return tst_done();
}
