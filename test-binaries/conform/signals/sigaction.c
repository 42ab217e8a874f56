/* rt_sigaction(2): handlers set and read back, flags, SIGKILL and SIGSTOP untouchable; and its errors. */
#include "../tst.h"

static volatile sig_atomic_t got;

static void handler(int signal)
{
	got = signal;
}

static void informed(int signal, siginfo_t *info, void *context)
{
	(void)context;
	got = info->si_signo == signal ? signal : -1;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler }, old;
	int wrong = 0;

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR2);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_handler == SIG_DFL, "the default to begin with");
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_handler == handler, "the handler reads back");
	CHECK(sigismember(&old.sa_mask, SIGUSR2) == 1 && sigismember(&old.sa_mask, SIGTERM) == 0, "so does its mask");
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(got, SIGUSR1);
	action.sa_sigaction = informed;
	action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER;
	CHECK_EQ(sigaction(SIGUSR1, &action, &old), 0);
	CHECK(old.sa_handler == handler, "the old one is given back");
	MUST(sigaction(SIGUSR1, NULL, &old));
	CHECK_EQ(old.sa_flags & (SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER | SA_RESETHAND),
		 SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER);
	got = 0;
	raise(SIGUSR1);
	CHECK_EQ(got, SIGUSR1);

	action.sa_flags = SA_RESETHAND;
	action.sa_handler = handler;
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	MUST(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == SIG_DFL, "SA_RESETHAND sets the default after one signal");

	action.sa_flags = 0;
	for (int signal = 1; signal < 65; signal++) {
		if (signal == SIGKILL || signal == SIGSTOP || (signal >= 32 && signal < 35))
			continue;
		wrong += sigaction(signal, &action, NULL) != 0;
		got = 0;
		raise(signal);
		wrong += got != signal;
	}
	CHECK(!wrong, "every other signal can be caught");
	CHECK_ERR(sigaction(SIGKILL, &action, NULL), EINVAL);
	CHECK_ERR(sigaction(SIGSTOP, &action, NULL), EINVAL);
	CHECK_EQ(syscall(SYS_rt_sigaction, SIGKILL, NULL, &old, 8), 0);
	CHECK_ERR(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, TST_BAD, NULL, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, TST_BAD, 8), EFAULT);
	return tst_done();
}
