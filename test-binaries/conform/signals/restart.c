/* Calls interrupted by a handler: restarted with SA_RESTART, EINTR without; sleeps and waits are always EINTR. */
#include "../tst.h"

#include <poll.h>
#include <sys/time.h>

static int ends[2];
static volatile sig_atomic_t count, writes_at;

static void handler(int signal)
{
	(void)signal;
	if (++count == writes_at)
		if (write(ends[1], "x", 1) != 1)
			_exit(TST_BROK);
}

static void arm(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	const struct itimerval timer = { { 0, 20000 }, { 0, 20000 } };

	count = 0;
	MUST(sigaction(SIGALRM, &action, NULL));
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
}

int main(void)
{
	const struct timespec long_while = { 5, 0 };
	struct timespec left;
	struct pollfd poll_one = { .events = POLLIN };
	sigset_t empty;
	char byte;

	sigemptyset(&empty);
	MUST(pipe(ends));
	poll_one.fd = ends[0];
	arm(0);
	CHECK_ERR(read(ends[0], &byte, 1), EINTR);
	writes_at = 3;
	arm(SA_RESTART);
	CHECK_EQ(read(ends[0], &byte, 1), 1);
	CHECK(count >= 3, "a read goes on after two signals");
	writes_at = 0;
	CHECK_ERR(nanosleep(&long_while, &left), EINTR);
	CHECK(left.tv_sec >= 4, "nanosleep is not restarted and gives the time left");
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){ 1L << 40, 0 }, NULL), EINTR);
	CHECK_ERR(poll(&poll_one, 1, 5000), EINTR);
	CHECK_ERR(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &long_while, NULL), EINTR);
	CHECK_ERR(pause(), EINTR);
	CHECK_ERR(sigsuspend(&empty), EINTR);

	/* A full pipe: a write that has to wait. */
	MUST(fcntl(ends[1], F_SETFL, O_NONBLOCK));
	while (write(ends[1], &byte, 1) == 1)
		;
	MUST(fcntl(ends[1], F_SETFL, 0));
	CHECK_EQ(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	arm(0);
	CHECK_ERR(write(ends[1], "y", 1), EINTR);
	return tst_done();
}
