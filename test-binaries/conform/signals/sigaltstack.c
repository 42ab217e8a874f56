/* sigaltstack(2): handlers on another stack, its state while one runs, a stack overflow caught; and its errors. */
#include "../tst.h"

static char stack[65536] __attribute__((aligned(16)));
static volatile int on_it, flags_inside, change_refused, misaligned;

static void handler(int signal)
{
	char local;
	stack_t now, other = { .ss_sp = stack, .ss_size = sizeof(stack) };

	(void)signal;
	on_it = &local >= stack && &local < stack + sizeof(stack);
	sigaltstack(NULL, &now);
	flags_inside = now.ss_flags;
	change_refused = sigaltstack(&other, NULL) == -1 && errno == EPERM;
	misaligned = ((uintptr_t)__builtin_frame_address(0) & 15) != 0;
}

static volatile int never;

static __attribute__((noinline)) int endless(int depth)
{
	volatile char frame[4096];

	frame[0] = depth;
	return never ? 0 : endless(depth + 1) + frame[0];
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t new = { .ss_sp = stack, .ss_size = sizeof(stack) }, old;

	CHECK_EQ(sigaltstack(NULL, &old), 0);
	CHECK_EQ(old.ss_flags, SS_DISABLE);
	CHECK_EQ(sigaltstack(&new, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &old), 0);
	CHECK(old.ss_sp == stack && old.ss_size == sizeof(stack) && old.ss_flags == 0, "it reads back");
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	CHECK(on_it, "a handler with SA_ONSTACK runs on it");
	CHECK_EQ(flags_inside, SS_ONSTACK);
	CHECK(change_refused, "it cannot be changed while in use");
	CHECK(!misaligned, "the handler's stack is aligned");
	action.sa_flags = 0;
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	CHECK(!on_it && flags_inside == 0, "one without SA_ONSTACK does not");
	MUST(sigaltstack(&new, NULL));

	tst_catch_faults();
	action.sa_sigaction = tst_fault_handler;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	MUST(sigaction(SIGSEGV, &action, NULL));
	CHECK_EQ(TST_FAULT(endless(0)), SIGSEGV);
	MUST(sigaltstack(NULL, &old));
	CHECK(old.ss_flags == 0, "a jump out of the handler leaves the stack");

	new.ss_size = 1024;
	CHECK_ERR(sigaltstack(&new, NULL), ENOMEM);
	new.ss_size = sizeof(stack);
	new.ss_flags = 0x99;
	CHECK_ERR(sigaltstack(&new, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_sigaltstack, TST_BAD, NULL), EFAULT);
	CHECK_ERR(syscall(SYS_sigaltstack, NULL, TST_BAD), EFAULT);
	new.ss_flags = SS_DISABLE;
	CHECK_EQ(sigaltstack(&new, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &old), 0);
	CHECK_EQ(old.ss_flags, SS_DISABLE);
	return tst_done();
}
