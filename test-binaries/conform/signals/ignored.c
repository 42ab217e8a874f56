/* Signals that are ignored by default or on demand, and siglongjmp out of handlers. */
#include "../tst.h"

static sigjmp_buf jump;

static void leave(int signal)
{
	siglongjmp(jump, signal);
}

int main(void)
{
	static const int harmless[] = { SIGCHLD, SIGURG, SIGWINCH, SIGCONT };
	sigset_t mask;
	volatile int times = 0;
	int left;

	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
		raise(harmless[i]);
		tst_pass("signal %d is ignored by default", harmless[i]);
	}
	signal(SIGTERM, SIG_IGN);
	raise(SIGTERM);
	tst_pass("SIG_IGN");
	signal(SIGPIPE, SIG_IGN);
	int ends[2];
	MUST(pipe(ends));
	MUST(close(ends[0]));
	CHECK_ERR(write(ends[1], "x", 1), EPIPE);

	signal(SIGUSR1, leave);
	while (times < 10) {
		left = sigsetjmp(jump, 1);
		if (left)
			times++;
		else
			raise(SIGUSR1);
	}
	CHECK(times == 10, "ten jumps out of a handler");
	MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(!sigismember(&mask, SIGUSR1), "sigsetjmp restores the mask");
	return tst_done();
}
