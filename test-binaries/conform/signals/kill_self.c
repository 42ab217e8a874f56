/* kill(2), tgkill(2), tkill(2), rt_sigqueueinfo(2) to the process itself: the siginfo of each, and their errors. */
#include "../tst.h"

static volatile siginfo_t last;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	last = *info;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	pid_t me = getpid();
	siginfo_t info = { 0 };

	MUST(sigaction(SIGUSR1, &action, NULL));
	CHECK_EQ(kill(me, SIGUSR1), 0);
	CHECK_EQ(last.si_signo, SIGUSR1);
	CHECK_EQ(last.si_code, SI_USER);
	CHECK_EQ(last.si_errno, 0);
	CHECK(last.si_pid == me && last.si_uid == getuid(), "it says who sent it");
	CHECK_EQ(syscall(SYS_tgkill, me, me, SIGUSR1), 0);
	CHECK_EQ(last.si_code, SI_TKILL);
	CHECK(last.si_pid == me, "tgkill says who sent it");
	CHECK_EQ(syscall(SYS_tkill, me, SIGUSR1), 0);
	CHECK_EQ(sigqueue(me, SIGUSR1, (union sigval){ .sival_int = 4321 }), 0);
	CHECK_EQ(last.si_code, SI_QUEUE);
	CHECK_EQ(last.si_value.sival_int, 4321);
	CHECK(last.si_pid == me, "sigqueue says who sent it");
	info.si_code = -77;
	info.si_value.sival_int = 5;
	CHECK_EQ(syscall(SYS_rt_sigqueueinfo, me, SIGUSR1, &info), 0);
	CHECK_EQ(last.si_code, -77);
	CHECK_EQ(last.si_signo, SIGUSR1);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(last.si_code, SI_TKILL);

	CHECK_EQ(kill(me, 0), 0);
	CHECK_EQ(syscall(SYS_tgkill, me, me, 0), 0);
	CHECK_ERR(kill(me, 65), EINVAL);
	CHECK_ERR(kill(me, -1), EINVAL);
	CHECK_ERR(kill(0x3fffffff, SIGUSR1), ESRCH);
	CHECK_ERR(kill(0x3fffffff, 0), ESRCH);
	CHECK_ERR(kill(-0x3fffffff, SIGUSR1), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, me, 0x3fffffff, SIGUSR1), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, 0x3fffffff, me, SIGUSR1), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, 0, me, SIGUSR1), EINVAL);
	CHECK_ERR(syscall(SYS_tgkill, me, -1, SIGUSR1), EINVAL);
	CHECK_ERR(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigqueueinfo, me, SIGUSR1, TST_BAD), EFAULT);
	return tst_done();
}
