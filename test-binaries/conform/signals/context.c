/* What a handler finds in its context, and what changes of it do: registers, RIP, the mask, the flags. */
#include "../tst.h"

#include <ucontext.h>

static volatile unsigned long seen_rbx, seen_r12, seen_address, seen_error, seen_trap;
static volatile int blocked;

static void handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	greg_t *registers = user->uc_mcontext.gregs;

	(void)signal;
	(void)info;
	seen_rbx = registers[REG_RBX];
	seen_r12 = registers[REG_R12];
	seen_address = registers[REG_CR2];
	seen_error = registers[REG_ERR];
	seen_trap = registers[REG_TRAPNO];
	blocked = sigismember(&user->uc_sigmask, SIGUSR2);
	/* Past the instruction, which has three bytes; with other registers. */
	registers[REG_RIP] += 3;
	registers[REG_RBX] = 1111;
	registers[REG_R12] = 2222;
	sigaddset(&user->uc_sigmask, SIGUSR2);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	unsigned long rbx = 0xabcdef0123456789, r12 = 0x1122334455667788;
	sigset_t mask;

	MUST(sigaction(SIGSEGV, &action, NULL));
	/* mov (%rdi), %rax has three bytes. */
	__asm__ volatile("mov %2, %%rbx; mov %3, %%r12; mov $0x123, %%edi\n\t"
			 ".byte 0x48, 0x8b, 0x07\n\t"
			 "mov %%rbx, %0; mov %%r12, %1"
			 : "=m"(rbx), "=m"(r12)
			 : "m"(rbx), "m"(r12)
			 : "rax", "rbx", "r12", "rdi", "memory");
	CHECK(seen_rbx == 0xabcdef0123456789 && seen_r12 == 0x1122334455667788, "the registers are in the context");
	CHECK_EQ(seen_address, 0x123);
	CHECK_EQ(seen_trap, 14);
	CHECK_EQ(seen_error, 4);
	CHECK(rbx == 1111 && r12 == 2222, "changed registers take effect");
	CHECK_EQ(blocked, 0);
	MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(sigismember(&mask, SIGUSR2), "so does a changed mask");
	CHECK(!sigismember(&mask, SIGSEGV), "the signal itself is unblocked again");
	return tst_done();
}
