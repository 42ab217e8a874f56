/* ppoll(2), pselect6(2), epoll_pwait(2): the signal mask in force while they wait, and restored after; select(2) and ppoll(2) give the time left. */
#include "../tst.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

static volatile sig_atomic_t count;

static void handler(int signal)
{
	(void)signal;
	count++;
}

static int blocked(void)
{
	sigset_t mask;

	MUST(sigprocmask(SIG_SETMASK, NULL, &mask));
	return sigismember(&mask, SIGUSR1);
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	struct timespec left = { 5, 0 }, tenth = { 0, 20000000 };
	struct timeval wait = { 5, 0 };
	struct pollfd one = { .events = POLLIN };
	struct { const void *mask; size_t size; } argument;
	uint64_t none = 0, usr1 = 1ULL << (SIGUSR1 - 1);
	struct epoll_event event = { .events = EPOLLIN };
	sigset_t mask;
	int ends[2], instance;
	fd_set set;

	MUST(sigaction(SIGUSR1, &action, NULL));
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &mask, NULL));
	MUST(pipe(ends));
	one.fd = ends[0];

	raise(SIGUSR1);
	CHECK_ERR(syscall(SYS_ppoll, &one, 1, &left, &none, 8), EINTR);
	CHECK(count == 1 && blocked(), "a pending signal comes while ppoll unblocks it");
	CHECK(left.tv_sec == 4 || left.tv_sec == 5, "ppoll gives the time left");
	raise(SIGUSR1);
	argument.mask = &none;
	argument.size = 8;
	left = (struct timespec){ 5, 0 };
	CHECK_ERR(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, &argument), EINTR);
	CHECK(count == 2 && blocked(), "so it does with pselect6");
	instance = MUST(epoll_create1(0));
	MUST(epoll_ctl(instance, EPOLL_CTL_ADD, ends[0], &event));
	raise(SIGUSR1);
	CHECK_ERR(syscall(SYS_epoll_pwait, instance, &event, 1, 5000, &none, 8), EINTR);
	CHECK(count == 3 && blocked(), "and with epoll_pwait");

	/* What is ready comes before the signal, which then is delivered after the call. */
	MUST(write(ends[1], "x", 1));
	raise(SIGUSR1);
	CHECK_EQ(syscall(SYS_ppoll, &one, 1, NULL, &none, 8), 1);
	CHECK(blocked(), "the mask is restored after success");
	CHECK_EQ(count, 3);
	left = (struct timespec){ 5, 0 };
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	CHECK_EQ(syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, &left, &argument), 1);
	CHECK_EQ(syscall(SYS_epoll_pwait, instance, &event, 1, 5000, &none, 8), 1);
	CHECK(count == 3 && blocked(), "so it is with pselect6 and epoll_pwait");
	MUST(sigprocmask(SIG_UNBLOCK, &mask, NULL));
	CHECK_EQ(count, 4);
	CHECK_EQ(syscall(SYS_ppoll, &one, 1, NULL, &usr1, 8), 1);
	CHECK(!blocked(), "a mask that blocks more is taken away, too");
	/* A signal that comes while the mask holds it back is delivered as soon as the call has ended. */
	MUST(sigaction(SIGALRM, &action, NULL));
	for (int i = 0; i < 3; i++) {
		const struct itimerval timer = { .it_value.tv_usec = 5000 };
		struct timespec while_ = { 0, 50000000 };
		uint64_t alrm = 1ULL << (SIGALRM - 1);

		argument.mask = &alrm;
		count = 0;
		MUST(setitimer(ITIMER_REAL, &timer, NULL));
		if (i == 0)
			CHECK_EQ(syscall(SYS_ppoll, NULL, 0, &while_, &alrm, 8), 0);
		else if (i == 1)
			CHECK_EQ(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &while_, &argument), 0);
		else
			CHECK_EQ(syscall(SYS_epoll_pwait, MUST(epoll_create1(0)), &event, 1, 50, &alrm, 8), 0);
		CHECK_EQ(count, 1);
	}
	CHECK_ERR(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, TST_BAD), EFAULT);
	argument.size = 4;
	CHECK_ERR(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, &argument), EINVAL);
	CHECK_ERR(syscall(SYS_epoll_pwait, instance, &event, 1, 0, &none, 4), EINVAL);
	CHECK_EQ(syscall(SYS_epoll_pwait2, instance, &event, 1, &tenth, NULL, 8), 1);

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	CHECK_EQ(select(ends[0] + 1, &set, NULL, NULL, &wait), 1);
	CHECK(wait.tv_sec == 4 || wait.tv_sec == 5, "select gives the time left");
	wait = (struct timeval){ 0, -1 };
	CHECK_ERR(syscall(SYS_select, 0, NULL, NULL, NULL, &wait), EINVAL);
	wait = (struct timeval){ 0, 2000000 };
	CHECK_EQ(syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &wait), 1);
	return tst_done();
}
