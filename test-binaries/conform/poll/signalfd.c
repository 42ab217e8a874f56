/* signalfd: blocked signals are read from a descriptor and can be waited for. */
#include "../tst.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

int main(void)
{
	struct signalfd_siginfo info[4];
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd one;
	sigset_t set, other;
	int fd, epoll;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	fd = MUST(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	one = (struct pollfd){ fd, POLLIN, 0 };
	CHECK_ERR(read(fd, info, sizeof(info)), EAGAIN);
	CHECK_ERR(read(fd, info, sizeof(info[0]) - 1), EINVAL);
	CHECK_EQ(poll(&one, 1, 0), 0);
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);

	MUST(kill(getpid(), SIGUSR1));
	CHECK_EQ(poll(&one, 1, 0), 1);
	CHECK_EQ(one.revents, POLLIN);
	CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
	CHECK_EQ(read(fd, info, sizeof(info)), (long)sizeof(info[0]));
	CHECK_EQ(info[0].ssi_signo, SIGUSR1);
	CHECK_EQ(info[0].ssi_code, SI_USER);
	CHECK(info[0].ssi_pid == (unsigned)getpid(), "the sender's pid");
	CHECK_EQ(info[0].ssi_uid, (long)getuid());
	CHECK_EQ(poll(&one, 1, 0), 0);

	MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 5 }));
	MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 6 }));
	CHECK_EQ(read(fd, info, sizeof(info)), 2 * (long)sizeof(info[0]));
	CHECK_EQ(info[0].ssi_int, 5);
	CHECK_EQ(info[1].ssi_int, 6);
	CHECK_EQ(info[1].ssi_code, SI_QUEUE);

	sigemptyset(&other);
	sigaddset(&other, SIGUSR2);
	CHECK_EQ(signalfd(fd, &other, 0), fd);
	MUST(raise(SIGUSR1));
	CHECK_ERR(read(fd, info, sizeof(info)), EAGAIN);
	CHECK_EQ(signalfd(fd, &set, 0), fd);
	CHECK_EQ(read(fd, info, sizeof(info)), (long)sizeof(info[0]));
	CHECK_EQ(info[0].ssi_code, SI_TKILL);

	CHECK_ERR(signalfd(1, &set, 0), EINVAL);
	CHECK_ERR(signalfd(99, &set, 0), EBADF);
	CHECK_ERR(signalfd(-1, &set, 1), EINVAL);
	CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 4L, 0), EINVAL);
	return tst_done();
}
