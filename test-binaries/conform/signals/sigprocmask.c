/* rt_sigprocmask(2), rt_sigpending(2): blocked signals wait, once each, and come when unblocked; and their errors. */
#include "../tst.h"

static volatile sig_atomic_t count[65];

static void handler(int signal)
{
	count[signal]++;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	sigset_t set, old, all, pending;

	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGUSR2, &action, NULL));
	MUST(sigaction(SIGRTMIN, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
	CHECK(!sigismember(&old, SIGUSR1), "the old mask is given back");
	for (int i = 0; i < 3; i++) {
		raise(SIGUSR1);
		raise(SIGRTMIN);
		raise(SIGUSR2);
	}
	CHECK(count[SIGUSR1] == 0 && count[SIGRTMIN] == 0, "blocked signals do not arrive");
	CHECK_EQ(count[SIGUSR2], 3);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGRTMIN) && !sigismember(&pending, SIGUSR2),
	      "they are pending");
	CHECK_EQ(sigprocmask(SIG_SETMASK, &old, &set), 0);
	CHECK(sigismember(&set, SIGUSR1), "SIG_SETMASK gives the mask there was");
	CHECK_EQ(count[SIGUSR1], 1);
	CHECK_EQ(count[SIGRTMIN], 3);
	MUST(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGUSR1), "nothing is pending any more");

	raise(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	raise(SIGUSR2);
	signal(SIGUSR2, SIG_IGN);
	MUST(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGUSR2), "ignoring a signal discards what is pending");
	raise(SIGUSR2);
	MUST(sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR2), "one that is blocked becomes pending even if it is ignored");
	MUST(sigprocmask(SIG_UNBLOCK, &set, NULL));
	MUST(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGUSR2), "and is discarded when unblocked");

	sigfillset(&all);
	MUST(sigprocmask(SIG_SETMASK, &all, NULL));
	MUST(sigprocmask(SIG_SETMASK, NULL, &set));
	CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP), "SIGKILL and SIGSTOP cannot be blocked");
	CHECK(sigismember(&set, SIGTERM), "others can");
	CHECK_ERR(sigprocmask(99, &set, NULL), EINVAL);
	CHECK_EQ(syscall(SYS_rt_sigprocmask, 99, NULL, NULL, 8), 0);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, TST_BAD, NULL, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, TST_BAD, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigpending, TST_BAD, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigpending, &set, 16), EINVAL);
	return tst_done();
}
