/* What is blocked while a handler runs: the signal itself, sa_mask, nothing with SA_NODEFER; order of several pending signals. */
#include "../tst.h"

static char trail[64];
static volatile int depth, deepest;

static void note(char c)
{
	size_t length = strlen(trail);

	if (length < sizeof(trail) - 1)
		trail[length] = c;
}

static void first(int signal)
{
	note('(');
	raise(SIGUSR2);
	if (++depth < 3)
		raise(signal);
	if (depth > deepest)
		deepest = depth;
	note(')');
}

static void second(int signal)
{
	(void)signal;
	note('2');
}

static void letter(int signal)
{
	note('a' + signal - SIGRTMIN);
}

int main(void)
{
	struct sigaction action = { .sa_handler = second };
	sigset_t set;

	MUST(sigaction(SIGUSR2, &action, NULL));
	action.sa_handler = first;
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	CHECK_STR(trail, "(2)(2)(2)");

	memset(trail, 0, sizeof(trail));
	depth = 0;
	action.sa_flags = SA_NODEFER;
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	CHECK_STR(trail, "(2(2(2)))");

	memset(trail, 0, sizeof(trail));
	depth = 2;
	action.sa_flags = 0;
	sigaddset(&action.sa_mask, SIGUSR2);
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	CHECK_STR(trail, "()2");

	memset(trail, 0, sizeof(trail));
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigfillset(&action.sa_mask);
	action.sa_handler = letter;
	for (int i = 0; i < 4; i++)
		MUST(sigaction(SIGRTMIN + i, &action, NULL));
	raise(SIGRTMIN + 2);
	raise(SIGRTMIN + 1);
	raise(SIGRTMIN + 3);
	raise(SIGRTMIN);
	raise(SIGRTMIN + 1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK_STR(trail, "abbcd");
	return tst_done();
}
