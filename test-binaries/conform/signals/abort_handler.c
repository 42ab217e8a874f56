/* SIGABRT from abort(3) can be caught, and a handler may leave by a jump; synchronous signals blocked are not deferred. */
#include "../tst.h"

static sigjmp_buf jump;

static void leave(int signal)
{
	siglongjmp(jump, signal);
}

int main(void)
{
	struct sigaction action = { .sa_handler = leave };
	int got;

	MUST(sigaction(SIGABRT, &action, NULL));
	got = sigsetjmp(jump, 1);
	if (!got)
		abort();
	CHECK_EQ(got, SIGABRT);
	MUST(sigaction(SIGQUIT, &action, NULL));
	got = sigsetjmp(jump, 1);
	if (!got)
		kill(getpid(), SIGQUIT);
	CHECK_EQ(got, SIGQUIT);
	return tst_done();
}
