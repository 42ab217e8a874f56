/* conform: libs=-lpthread */
/* SIGPIPE: which writes to what nobody reads send it, and how often; MSG_NOSIGNAL; blocked, ignored and caught; always to the thread that writes. */
#include "../tst.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

static volatile sig_atomic_t count, handled_by;
static char data[300000];

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (signal == SIGPIPE && info->si_code == SI_USER && info->si_pid == getpid())
		count++;
	handled_by = syscall(SYS_gettid);
}

/* A call that fails with this errno and sends so many signals. */
#define BREAKS(call, error, signals)                        \
	do {                                                \
		count = 0;                                  \
		CHECK_ERR(call, error);                     \
		CHECK(count == (signals), "with %s", (signals) ? "SIGPIPE" : "no signal"); \
	} while (0)

static void of_pipes(void)
{
	struct iovec list[2] = { { data, 10 }, { data, 20 } };
	int ends[2], others[2], file;

	MUST(pipe(ends));
	MUST(pipe(others));
	MUST(write(others[1], data, 100));
	file = MUST(memfd_create("data", 0));
	MUST(write(file, data, 4096));
	MUST(close(ends[0]));
	BREAKS(write(ends[1], data, 1), EPIPE, 1);
	BREAKS(writev(ends[1], list, 2), EPIPE, 1);
	BREAKS(syscall(SYS_pwritev2, ends[1], list, 2L, -1L, -1L, 0), EPIPE, 1);
	BREAKS(splice(others[0], NULL, ends[1], NULL, 10, 0), EPIPE, 1);
	BREAKS(tee(others[0], ends[1], 10, 0), EPIPE, 1);
	BREAKS(vmsplice(ends[1], list, 2, 0), EPIPE, 1);
	MUST(lseek(file, 0, SEEK_SET));
	BREAKS(splice(file, NULL, ends[1], NULL, 10, 0), EPIPE, 1);
	MUST(lseek(file, 0, SEEK_SET));
	BREAKS(syscall(SYS_sendfile, ends[1], file, NULL, 10L), EPIPE, 1);
	MUST(fcntl(ends[1], F_SETFL, O_NONBLOCK));
	BREAKS(write(ends[1], data, 1), EPIPE, 1);
	count = 0;
	CHECK_EQ(write(ends[1], data, 0), 0);
	CHECK_EQ(count, 0);
	BREAKS(write(ends[1], TST_BAD, 1), EPIPE, 1);
	close(ends[1]);
	close(others[0]);
	close(others[1]);
	close(file);
}

static void of_sockets(int type, const char *name, int error, int signals)
{
	struct iovec list[2] = { { data, 10 }, { data, 20 } };
	struct msghdr message = { .msg_iov = list, .msg_iovlen = 2 };
	int ends[2], others[2], file;

	tst_pass("%s sockets", name);
	MUST(pipe(others));
	MUST(write(others[1], data, 100));
	file = MUST(memfd_create("data", 0));
	MUST(write(file, data, 4096));
	MUST(lseek(file, 0, SEEK_SET));
	MUST(socketpair(AF_UNIX, type, 0, ends));
	MUST(close(ends[0]));
	BREAKS(write(ends[1], data, 1), error, signals);
	/* Where the peer is gone, a datagram socket knows after the first failure. */
	if (type == SOCK_DGRAM)
		error = ENOTCONN;
	BREAKS(writev(ends[1], list, 2), error, signals);
	BREAKS(send(ends[1], data, 1, 0), error, signals);
	BREAKS(send(ends[1], data, 1, MSG_NOSIGNAL), error, 0);
	BREAKS(send(ends[1], data, 1, MSG_DONTWAIT), error, signals);
	BREAKS(sendmsg(ends[1], &message, 0), error, signals);
	BREAKS(sendmsg(ends[1], &message, MSG_NOSIGNAL), error, 0);
	BREAKS(splice(others[0], NULL, ends[1], NULL, 10, 0), error, signals);
	BREAKS(syscall(SYS_sendfile, ends[1], file, NULL, 10L), error, signals);
	close(ends[1]);

	MUST(socketpair(AF_UNIX, type, 0, ends));
	MUST(shutdown(ends[1], SHUT_WR));
	BREAKS(send(ends[1], data, 1, 0), EPIPE, signals);
	BREAKS(send(ends[1], data, 1, MSG_NOSIGNAL), EPIPE, 0);
	close(ends[0]);
	close(ends[1]);
	MUST(socketpair(AF_UNIX, type, 0, ends));
	MUST(shutdown(ends[0], SHUT_RD));
	BREAKS(write(ends[1], data, 1), EPIPE, signals);
	close(ends[0]);
	close(ends[1]);
	close(others[0]);
	close(others[1]);
	close(file);
}

static void blocked_and_ignored(void)
{
	struct timespec none = { 0, 0 };
	sigset_t set;
	siginfo_t info;
	int ends[2];

	MUST(pipe(ends));
	MUST(close(ends[0]));
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	BREAKS(write(ends[1], data, 1), EPIPE, 0);
	BREAKS(write(ends[1], data, 1), EPIPE, 0);
	CHECK_EQ(sigtimedwait(&set, &info, &none), SIGPIPE);
	CHECK(info.si_code == SI_USER && info.si_pid == getpid() && info.si_uid == getuid(), "as if the process had sent it to itself");
	CHECK_ERR(sigtimedwait(&set, &info, &none), EAGAIN);
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	signal(SIGPIPE, SIG_IGN);
	BREAKS(write(ends[1], data, 1), EPIPE, 0);
	close(ends[1]);
}

static int pending_here(void)
{
	sigset_t set;

	MUST(sigpending(&set));
	return sigismember(&set, SIGPIPE);
}

static long result;
static int error_number, here, tid, ends[2];
static volatile int ready;

static void *write_blocked(void *argument)
{
	sigset_t set;

	(void)argument;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	result = write(ends[1], data, 1);
	error_number = errno;
	here = pending_here();
	return NULL;
}

static void *write_much(void *argument)
{
	tid = syscall(SYS_gettid);
	ready = 1;
	errno = 0;
	result = write(ends[1], data, *(size_t *)argument);
	error_number = errno;
	return NULL;
}

/* A thread writes this much and has to wait; then the other end is closed. */
static void close_while_it_waits(size_t size)
{
	pthread_t thread;
	char path[64], text[512];

	count = handled_by = ready = 0;
	if (pthread_create(&thread, NULL, write_much, &size))
		tst_brk("pthread_create");
	for (int i = 0; i < 5000; i++) {
		usleep(1000);
		if (!ready)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
		if (tst_read_file(path, text, sizeof(text)) > 0 && strstr(text, ") S "))
			break;
	}
	MUST(close(ends[0]));
	pthread_join(thread, NULL);
	MUST(close(ends[1]));
}

static void of_threads(void)
{
	pthread_t thread;
	long size;

	MUST(pipe(ends));
	MUST(close(ends[0]));
	if (pthread_create(&thread, NULL, write_blocked, NULL))
		tst_brk("pthread_create");
	pthread_join(thread, NULL);
	CHECK(result == -1 && error_number == EPIPE && here, "a thread has the signal pending itself");
	CHECK(!pending_here() && !count, "no other thread gets it");
	MUST(close(ends[1]));

	MUST(pipe(ends));
	size = MUST(fcntl(ends[1], F_GETPIPE_SZ));
	MUST(write(ends[1], data, size));
	close_while_it_waits(10);
	CHECK(result == -1 && error_number == EPIPE, "a write that waits ends with EPIPE when the last reader goes");
	CHECK(count == 1 && handled_by == tid, "and SIGPIPE is for the thread that writes");

	MUST(pipe(ends));
	close_while_it_waits(2 * size);
	CHECK(result == size, "one that has begun gives what it has written");
	CHECK(count == 1 && handled_by == tid, "and sends SIGPIPE");

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	close_while_it_waits(sizeof(data));
	CHECK(result > 0 && result < (long)sizeof(data), "one to a socket gives what it has written, too");
	CHECK_EQ(count, 0);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	MUST(sigaction(SIGPIPE, &action, NULL));
	of_pipes();
	of_sockets(SOCK_STREAM, "stream", EPIPE, 1);
	of_sockets(SOCK_SEQPACKET, "packet", EPIPE, 0);
	of_sockets(SOCK_DGRAM, "datagram", ECONNREFUSED, 0);
	of_threads();
	blocked_and_ignored();
	return tst_done();
}
