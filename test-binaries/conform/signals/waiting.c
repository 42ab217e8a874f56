/* sigsuspend(2), sigtimedwait(2), sigwaitinfo(2), pause(2): what ends them, what they leave, and their errors. */
#include "../tst.h"

static volatile sig_atomic_t count;

static void handler(int signal)
{
	(void)signal;
	count++;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	const struct timespec none = { 0, 0 }, short_while = { 0, 20000000 }, bad = { 0, -1 };
	sigset_t set, empty, mask;
	siginfo_t info;
	long long start;

	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGALRM, &action, NULL));
	sigemptyset(&empty);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	raise(SIGUSR1);
	CHECK_ERR(sigsuspend(&empty), EINTR);
	CHECK_EQ(count, 1);
	MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(sigismember(&mask, SIGUSR1), "the mask is the old one again");

	raise(SIGUSR1);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
	CHECK(info.si_signo == SIGUSR1 && (info.si_code == SI_TKILL || info.si_code == SI_USER) && info.si_pid == getpid(), "with the signal's details");
	CHECK(count == 1, "no handler runs");
	MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 6 }));
	raise(SIGUSR1);
	CHECK_EQ(sigtimedwait(&set, &info, &none), SIGUSR1);
	CHECK_EQ(sigtimedwait(&set, &info, &none), SIGRTMIN);
	CHECK_EQ(info.si_value.sival_int, 6);
	CHECK_ERR(sigtimedwait(&set, &info, &none), EAGAIN);
	start = tst_now(CLOCK_MONOTONIC);
	CHECK_ERR(sigtimedwait(&set, NULL, &short_while), EAGAIN);
	CHECK(tst_now(CLOCK_MONOTONIC) - start >= 20000000, "it waits for as long as asked");
	CHECK_ERR(sigtimedwait(&set, NULL, &bad), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigtimedwait, TST_BAD, NULL, &none, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigtimedwait, &set, NULL, &none, 4), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigsuspend, TST_BAD, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigsuspend, &set, 4), EINVAL);

	count = 0;
	alarm(1);
	CHECK_ERR(pause(), EINTR);
	CHECK_EQ(count, 1);
	return tst_done();
}
