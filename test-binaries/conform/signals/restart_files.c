/* conform: libs=-lpthread timeout=30 */
/* Which calls that wait for a file (pipes, FIFOs, sockets, event files, locks) go on after a signal, by restart.h's table (two seconds). */
#include "restart.h"
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

static char data[65536];

static void pipe_empty(struct call *call)
{
	MUST(pipe(call->fd));
}

static void fill(int fd)
{
	int flags = MUST(fcntl(fd, F_GETFL));

	MUST(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
	while (write(fd, data, sizeof(data)) > 0)
		;
	MUST(fcntl(fd, F_SETFL, flags));
}

static void pipe_full(struct call *call)
{
	MUST(pipe(call->fd));
	fill(call->fd[1]);
}

/* Something to splice into a full pipe. */
static void pipes_full_and_not(struct call *call)
{
	pipe_full(call);
	MUST(pipe(call->fd + 2));
	MUST(write(call->fd[3], "x", 1));
}

static void pipes_empty(struct call *call)
{
	MUST(pipe(call->fd));
	MUST(pipe(call->fd + 2));
}

static void pipe_full_and_file(struct call *call)
{
	pipe_full(call);
	call->fd[2] = MUST(memfd_create("data", 0));
	MUST(write(call->fd[2], data, 4096));
	MUST(lseek(call->fd[2], 0, SEEK_SET));
}

static void sockets(struct call *call)
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, call->fd));
}

static void sockets_of_packets(struct call *call)
{
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, call->fd));
}

static void sockets_full(struct call *call)
{
	sockets(call);
	fill(call->fd[1]);
}

static void set_timeout(struct call *call, int fd, int option)
{
	struct timeval time = { call->timeout.tv_sec, call->timeout.tv_nsec / 1000 };

	MUST(setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time)));
}

static void sockets_with_timeout(struct call *call)
{
	sockets(call);
	set_timeout(call, call->fd[0], SO_RCVTIMEO);
}

static void sockets_full_with_timeout(struct call *call)
{
	sockets_full(call);
	set_timeout(call, call->fd[1], SO_SNDTIMEO);
}

static void event_empty(struct call *call)
{
	call->fd[0] = MUST(eventfd(0, 0));
}

static void event_full(struct call *call)
{
	uint64_t most = UINT64_MAX - 1;

	call->fd[1] = MUST(eventfd(0, 0));
	MUST(write(call->fd[1], &most, 8));
}

static void timer_never(struct call *call)
{
	call->fd[0] = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
}

static void signal_none(struct call *call)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	call->fd[0] = MUST(signalfd(-1, &set, 0));
}

static void fifo_closed(struct call *call)
{
	snprintf(call->path, sizeof(call->path), "%s-%ld", tst_path("restart"), call->number);
	unlink(call->path);
	MUST(mkfifo(call->path, 0600));
}

static void fifo_open(struct call *call)
{
	fifo_closed(call);
	call->fd[0] = MUST(open(call->path, O_RDWR));
	call->fd[1] = dup(call->fd[0]);
}

static void locked(struct call *call, bool by_flock)
{
	struct flock lock = { .l_type = F_WRLCK };

	snprintf(call->path, sizeof(call->path), "%s-lock", tst_path("restart"));
	call->fd[0] = MUST(open(call->path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	call->fd[1] = MUST(open(call->path, O_RDWR));
	MUST(unlink(call->path));
	/* A lock of the description, so that the process itself has to wait for it. */
	if (by_flock)
		MUST(flock(call->fd[1], LOCK_EX));
	else
		MUST(fcntl(call->fd[1], 37 /* F_OFD_SETLK */, &lock));
}

static void record_locked(struct call *call)
{
	locked(call, false);
}

static void file_locked(struct call *call)
{
	locked(call, true);
}

static long receive(struct call *call)
{
	char text[64];
	struct iovec list = { text, sizeof(text) };
	struct msghdr message = { .msg_iov = &list, .msg_iovlen = 1 };

	switch (call->number) {
	case SYS_read:
		return syscall(SYS_read, call->fd[0], text, sizeof(text));
	case SYS_readv:
		return syscall(SYS_readv, call->fd[0], &list, 1L);
	case SYS_preadv2:
		return syscall(SYS_preadv2, call->fd[0], &list, 1L, -1L, -1L, 0);
	case SYS_recvfrom:
		return syscall(SYS_recvfrom, call->fd[0], text, sizeof(text), 0, NULL, NULL);
	case SYS_recvmsg:
		return syscall(SYS_recvmsg, call->fd[0], &message, 0);
	case SYS_splice:
		return syscall(SYS_splice, call->fd[0], NULL, call->fd[3], NULL, 64L, 0);
	default:
		return syscall(SYS_tee, call->fd[0], call->fd[3], 64L, 0);
	}
}

static long send_data(struct call *call)
{
	char text[] = "12345678";
	struct iovec list = { text, 8 };
	struct msghdr message = { .msg_iov = &list, .msg_iovlen = 1 };

	switch (call->number) {
	case SYS_write:
		return syscall(SYS_write, call->fd[1], text, 8L);
	case SYS_writev:
		return syscall(SYS_writev, call->fd[1], &list, 1L);
	case SYS_pwritev2:
		return syscall(SYS_pwritev2, call->fd[1], &list, 1L, -1L, -1L, 0);
	case SYS_sendto:
		return syscall(SYS_sendto, call->fd[1], text, 8L, 0, NULL, 0);
	case SYS_sendmsg:
		return syscall(SYS_sendmsg, call->fd[1], &message, 0);
	case SYS_splice:
		return syscall(SYS_splice, call->fd[2], NULL, call->fd[1], NULL, 64L, 0);
	case SYS_tee:
		return syscall(SYS_tee, call->fd[2], call->fd[1], 64L, 0);
	case SYS_vmsplice:
		return syscall(SYS_vmsplice, call->fd[1], &list, 1L, 0);
	default:
		return syscall(SYS_sendfile, call->fd[1], call->fd[2], NULL, 4096L);
	}
}

static long read_file(struct call *call)
{
	char buffer[256];

	return syscall(SYS_read, call->fd[0], buffer, (long)sizeof(buffer));
}

static long write_file(struct call *call)
{
	uint64_t one = 1;

	return syscall(SYS_write, call->fd[1], &one, 8L);
}

static long open_fifo(struct call *call)
{
	long fd = syscall(SYS_openat, AT_FDCWD, call->path, call->number == 0 ? O_RDONLY : O_WRONLY);

	call->fd[0] = fd;
	return fd < 0 ? fd : 0;
}

static long take_record(struct call *call)
{
	struct flock lock = { .l_type = F_WRLCK };

	return syscall(SYS_fcntl, call->fd[0], call->number, &lock);
}

static long take_file(struct call *call)
{
	return syscall(SYS_flock, call->fd[0], LOCK_EX);
}

static void put(struct call *call)
{
	MUST(write(call->fd[1], "12345678", 8));
}

static void drain(struct call *call)
{
	MUST(read(call->fd[0], data, sizeof(data)));
}

/* A stream socket is writable again once a good part of its buffer is free. */
static void drain_all(struct call *call)
{
	while (recv(call->fd[0], data, sizeof(data), MSG_DONTWAIT) > 0)
		;
}

static void take_event(struct call *call)
{
	uint64_t value;

	MUST(read(call->fd[1], &value, 8));
}

static void put_event(struct call *call)
{
	uint64_t one = 1;

	MUST(write(call->fd[0], &one, 8));
}

static void set_timer(struct call *call)
{
	struct itimerspec time = { .it_value.tv_nsec = 1 };

	MUST(timerfd_settime(call->fd[0], 0, &time, NULL));
}

static void signal_it(struct call *call)
{
	MUST(syscall(SYS_tgkill, getpid(), call->tid, SIGUSR2));
}

static void open_other_end(struct call *call)
{
	call->fd[1] = MUST(open(call->path, call->number == 0 ? O_WRONLY : O_RDONLY));
}

static void unlock_record(struct call *call)
{
	struct flock lock = { .l_type = F_UNLCK };

	MUST(fcntl(call->fd[1], 37, &lock));
}

static void unlock_file(struct call *call)
{
	MUST(flock(call->fd[1], LOCK_UN));
}

#define READS(what, how, call) { what, RESTARTSYS, how, receive, put, 8, 0, call, NULL }
#define WRITES(what, how, call, result) { what, RESTARTSYS, how, send_data, drain, result, 0, call, NULL }

static const struct entry table[] = {
	READS("read of a pipe", pipe_empty, SYS_read),
	READS("readv of a pipe", pipe_empty, SYS_readv),
	READS("preadv2 of a pipe", pipe_empty, SYS_preadv2),
	READS("splice from an empty pipe", pipes_empty, SYS_splice),
	READS("tee from an empty pipe", pipes_empty, SYS_tee),
	WRITES("write to a full pipe", pipe_full, SYS_write, 8),
	WRITES("writev to a full pipe", pipe_full, SYS_writev, 8),
	WRITES("pwritev2 to a full pipe", pipe_full, SYS_pwritev2, 8),
	WRITES("vmsplice to a full pipe", pipe_full, SYS_vmsplice, 8),
	WRITES("splice to a full pipe", pipes_full_and_not, SYS_splice, 1),
	WRITES("tee to a full pipe", pipes_full_and_not, SYS_tee, 1),
	WRITES("sendfile to a full pipe", pipe_full_and_file, SYS_sendfile, 4096),
	{ "read of a FIFO", RESTARTSYS, fifo_open, read_file, put, 8, 0, 2, NULL },
	{ "open of a FIFO for reading", RESTARTSYS, fifo_closed, open_fifo, open_other_end, 0, 0, 0, NULL },
	{ "open of a FIFO for writing", RESTARTSYS, fifo_closed, open_fifo, open_other_end, 0, 0, 1, NULL },
	{ "read of an eventfd", RESTARTSYS, event_empty, read_file, put_event, 8, 0, 0, NULL },
	{ "write to an eventfd", RESTARTSYS, event_full, write_file, take_event, 8, 0, 0, NULL },
	{ "read of a timerfd", RESTARTSYS, timer_never, read_file, set_timer, 8, 0, 0, NULL },
	{ "read of a signalfd", RESTARTSYS, signal_none, read_file, signal_it, 128, 0, 0, NULL },
	READS("read of a socket", sockets, SYS_read),
	READS("readv of a socket", sockets, SYS_readv),
	READS("recv of a socket", sockets, SYS_recvfrom),
	READS("recvmsg of a socket", sockets, SYS_recvmsg),
	READS("recv of a packet", sockets_of_packets, SYS_recvfrom),
	{ "write to a full socket", RESTARTSYS, sockets_full, send_data, drain_all, 8, 0, SYS_write, NULL },
	{ "send to a full socket", RESTARTSYS, sockets_full, send_data, drain_all, 8, 0, SYS_sendto, NULL },
	{ "sendmsg to a full socket", RESTARTSYS, sockets_full, send_data, drain_all, 8, 0, SYS_sendmsg, NULL },
	{ "read with SO_RCVTIMEO", INTERRUPTED, sockets_with_timeout, receive, NULL, -1, EAGAIN, SYS_read, NULL },
	{ "recv with SO_RCVTIMEO", INTERRUPTED, sockets_with_timeout, receive, NULL, -1, EAGAIN, SYS_recvfrom, NULL },
	{ "recvmsg with SO_RCVTIMEO", INTERRUPTED, sockets_with_timeout, receive, NULL, -1, EAGAIN, SYS_recvmsg, NULL },
	{ "write with SO_SNDTIMEO", INTERRUPTED, sockets_full_with_timeout, send_data, NULL, -1, EAGAIN, SYS_write, NULL },
	{ "send with SO_SNDTIMEO", INTERRUPTED, sockets_full_with_timeout, send_data, NULL, -1, EAGAIN, SYS_sendto, NULL },
	{ "fcntl(F_SETLKW)", RESTARTSYS, record_locked, take_record, unlock_record, 0, 0, F_SETLKW, NULL },
	{ "fcntl(F_OFD_SETLKW)", RESTARTSYS, record_locked, take_record, unlock_record, 0, 0, 38, NULL },
	{ "flock", RESTARTSYS, file_locked, take_file, unlock_file, 0, 0, 0, NULL },
};

int main(void)
{
	run_all_modes(table, sizeof(table) / sizeof(*table));
	for (int i = 0; i < 3; i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s-%d", tst_path("restart"), i);
		MUST(unlink(path));
	}
	return tst_done();
}
