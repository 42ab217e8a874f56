/* A signal while a transfer has begun ends it with what was done; SIGPIPE caught, ignored and blocked; EINTR from opening a FIFO and waiting for a lock's kin. */
#include "../tst.h"

#include <sys/time.h>
#include <sys/uio.h>

static volatile sig_atomic_t alarms, pipes;

static void handler(int signal)
{
	if (signal == SIGALRM)
		alarms++;
	else
		pipes++;
}

static void arm(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	const struct itimerval timer = { { 0, 20000 }, { 0, 20000 } };

	MUST(sigaction(SIGALRM, &action, NULL));
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
}

int main(void)
{
	static char data[300000], copy[300000];
	const struct itimerval off = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = handler };
	struct iovec list[2] = { { data, 50000 }, { data + 50000, 50000 } };
	const char *path = tst_path("fifo");
	sigset_t pipe_only, pending;
	int ends[2];
	long size;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i * 7 % 251;
	MUST(pipe(ends));
	size = MUST(fcntl(ends[1], F_GETPIPE_SZ));
	arm(SA_RESTART);
	CHECK_EQ(write(ends[1], data, sizeof(data)), size);
	CHECK(alarms >= 1, "even with SA_RESTART");
	CHECK_EQ(read(ends[0], copy, sizeof(copy)), size);
	CHECK(!memcmp(data, copy, size), "what was written can be read");
	CHECK_EQ(writev(ends[1], list, 2), size);
	CHECK_EQ(read(ends[0], copy, sizeof(copy)), size);
	CHECK(!memcmp(data, copy, size), "of several buffers, too");
	MUST(write(ends[1], data, 100));
	CHECK_EQ(read(ends[0], copy, sizeof(copy)), 100);
	arm(0);
	CHECK_ERR(read(ends[0], copy, 1), EINTR);
	MUST(mkfifo(path, 0600));
	CHECK_ERR(open(path, O_RDONLY), EINTR);
	CHECK_ERR(open(path, O_WRONLY), EINTR);
	MUST(unlink(path));
	MUST(setitimer(ITIMER_REAL, &off, NULL));

	MUST(close(ends[0]));
	MUST(sigaction(SIGPIPE, &action, NULL));
	CHECK_ERR(write(ends[1], data, 1), EPIPE);
	CHECK_EQ(pipes, 1);
	CHECK_ERR(writev(ends[1], list, 2), EPIPE);
	CHECK_EQ(pipes, 2);
	CHECK_EQ(write(ends[1], data, 0), 0);
	CHECK_EQ(pipes, 2);
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	MUST(sigprocmask(SIG_BLOCK, &pipe_only, NULL));
	CHECK_ERR(write(ends[1], data, 1), EPIPE);
	MUST(sigpending(&pending));
	CHECK(sigismember(&pending, SIGPIPE) && pipes == 2, "blocked, it waits");
	MUST(sigprocmask(SIG_UNBLOCK, &pipe_only, NULL));
	CHECK_EQ(pipes, 3);
	MUST(signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0);
	CHECK_ERR(write(ends[1], data, 1), EPIPE);
	CHECK_EQ(pipes, 3);
	return tst_done();
}
