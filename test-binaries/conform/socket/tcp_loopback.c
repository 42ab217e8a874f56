/* TCP on the loopback interface, IPv4 and IPv6: connections, their errors, half-close, reset, readiness. */
#include "../tst.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int family;
static union {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} address;
static socklen_t address_len;

/* The family's loopback address, with a port of the kernel's choice. */
static void loopback(void)
{
	memset(&address, 0, sizeof(address));
	if (family == AF_INET) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		address_len = sizeof(address.v4);
	} else {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_addr = in6addr_loopback;
		address_len = sizeof(address.v6);
	}
}

static int listener(int backlog)
{
	int fd = MUST(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	socklen_t len = sizeof(address);

	loopback();
	MUST(bind(fd, &address.any, address_len));
	MUST(listen(fd, backlog));
	MUST(getsockname(fd, &address.any, &len));
	CHECK_EQ(len, address_len);
	return fd;
}

static int wait_for(int fd, int events)
{
	struct pollfd one = { fd, events, 0 };

	CHECK_EQ(poll(&one, 1, 5000), 1);
	return one.revents;
}

static void connections(void)
{
	int server = listener(8), client = MUST(socket(family, SOCK_STREAM, 0)), peer, value;
	socklen_t len = sizeof(value);
	char text[32] = "";
	struct stat meta;

	MUST(fstat(client, &meta));
	CHECK_EQ(meta.st_mode & S_IFMT, S_IFSOCK);
	CHECK_ERR(lseek(client, 0, SEEK_SET), ESPIPE);
	CHECK_ERR(getpeername(client, &address.any, &(socklen_t){ sizeof(address) }), ENOTCONN);
	CHECK_ERR(send(client, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERR(recv(client, text, 1, 0), ENOTCONN);
	CHECK_ERR(accept(client, NULL, NULL), EINVAL);
	MUST(connect(client, &address.any, address_len));
	CHECK_ERR(connect(client, &address.any, address_len), EISCONN);
	CHECK_ERR(listen(client, 1), EINVAL);
	CHECK_EQ(wait_for(server, POLLIN | POLLOUT), POLLIN);
	peer = MUST(accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
	CHECK_EQ(fcntl(peer, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fcntl(peer, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(read(peer, text, 1), EAGAIN);
	CHECK_EQ(write(client, "hello", 5), 5);
	CHECK_EQ(wait_for(peer, POLLIN), POLLIN);
	MUST(ioctl(peer, FIONREAD, &value));
	CHECK_EQ(value, 5);
	CHECK_EQ(recv(peer, text, 2, MSG_PEEK), 2);
	CHECK_EQ(recv(peer, text, sizeof(text), MSG_DONTWAIT), 5);
	CHECK_STR(text, "hello");
	CHECK_EQ(getsockopt(peer, SOL_SOCKET, SO_ERROR, &value, &len), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(wait_for(client, POLLIN | POLLOUT | POLLRDHUP), POLLOUT);

	/* Half-close: what is on the way arrives, then the end. */
	CHECK_EQ(send(client, "bye", 3, 0), 3);
	MUST(shutdown(client, SHUT_WR));
	CHECK_ERR(send(client, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(wait_for(peer, POLLRDHUP) & POLLRDHUP, POLLRDHUP);
	CHECK_EQ(read(peer, text, sizeof(text)), 3);
	CHECK_EQ(read(peer, text, sizeof(text)), 0);
	CHECK_EQ(write(peer, "still here", 10), 10);
	CHECK_EQ(recv(client, text, 10, MSG_WAITALL), 10);
	close(peer);
	CHECK_EQ(read(client, text, 1), 0);
	CHECK_EQ(wait_for(client, POLLIN) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
	close(client);
	close(server);
}

static void errors(void)
{
	int fd = MUST(socket(family, SOCK_STREAM, 0)), other = MUST(socket(family, SOCK_STREAM, 0)), server, value;
	socklen_t len = sizeof(value);

	/* Nobody listens on a port that was only bound. */
	loopback();
	MUST(bind(other, &address.any, address_len));
	len = sizeof(address);
	MUST(getsockname(other, &address.any, &len));
	CHECK_ERR(connect(fd, &address.any, address_len), ECONNREFUSED);
	CHECK_ERR(bind(fd, &address.any, (family == AF_INET ? 15 : 23)), EINVAL);
	CHECK_ERR(bind(other, &address.any, address_len), EINVAL);
	close(fd);
	fd = MUST(socket(family, SOCK_STREAM, 0));
	CHECK_ERR(bind(fd, &address.any, address_len), EADDRINUSE);
	close(other);
	MUST(bind(fd, &address.any, address_len));
	close(fd);

	/* The same without waiting: the error is the socket's. */
	fd = MUST(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK_ERR(connect(fd, &address.any, address_len), EINPROGRESS);
	CHECK_EQ(wait_for(fd, POLLOUT) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
	len = sizeof(value);
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len), 0);
	CHECK_EQ(value, ECONNREFUSED);
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len), 0);
	CHECK_EQ(value, 0);
	close(fd);

	/* Connected without waiting. */
	server = listener(4);
	fd = MUST(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK_ERR(syscall(SYS_accept4, server, NULL, NULL, 0x10), EINVAL);
	CHECK_ERR(connect(fd, &address.any, address_len), EINPROGRESS);
	CHECK_EQ(wait_for(fd, POLLOUT), POLLOUT);
	MUST(connect(fd, &address.any, address_len));
	CHECK_ERR(connect(fd, &address.any, address_len), EISCONN);
	other = MUST(accept(server, NULL, NULL));

	/* Closed with something unread: a reset. */
	CHECK_EQ(write(fd, "unread", 6), 6);
	wait_for(other, POLLIN);
	close(other);
	CHECK_EQ(wait_for(fd, POLLIN) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
	CHECK_ERR(read(fd, &value, 1), ECONNRESET);
	CHECK_EQ(read(fd, &value, 1), 0);
	CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	close(fd);

	/* Lingering for no time: a reset, too. */
	fd = MUST(socket(family, SOCK_STREAM, 0));
	MUST(connect(fd, &address.any, address_len));
	other = MUST(accept(server, NULL, NULL));
	MUST(setsockopt(other, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger)));
	close(other);
	CHECK_ERR(read(fd, &value, 1), ECONNRESET);
	close(fd);

	/* Time-outs. */
	CHECK_ERR(fcntl(server, F_SETFL, O_NONBLOCK) ?: accept(server, NULL, NULL), EAGAIN);
	MUST(fcntl(server, F_SETFL, 0));
	MUST(setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 0, 20000 }, sizeof(struct timeval)));
	CHECK_ERR(accept(server, NULL, NULL), EAGAIN);
	close(server);
	CHECK_ERR(socket(family, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERR(socket(family, SOCK_STREAM | 0x10, 0), EINVAL);
	CHECK_ERR(socket(family, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(socket(family, 11, 0), EINVAL);
	CHECK_ERR(socket(46, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERR(listen(STDIN_FILENO, 1), ENOTSOCK);
	fd = MUST(socket(family, SOCK_STREAM, 0));
	CHECK_ERR(shutdown(fd, SHUT_RDWR), ENOTCONN);
	close(fd);
}

#define TOTAL (4 << 20)

static void *sink(void *argument)
{
	int fd = *(int *)argument;
	static unsigned char bytes[100000];
	long total = 0;
	ssize_t count;

	while ((count = read(fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < count; i++, total++)
			if (bytes[i] != (unsigned char)(total * 7 + (total >> 13)))
				return (void *)-1L;
	return (void *)total;
}

/* More than any buffer holds, in pieces of odd sizes. */
static void bulk(void)
{
	int server = listener(1), client = MUST(socket(family, SOCK_STREAM, 0)), peer;
	static unsigned char bytes[70001];
	pthread_t thread;
	void *seen;
	long sent = 0;

	MUST(connect(client, &address.any, address_len));
	peer = MUST(accept(server, NULL, NULL));
	if (pthread_create(&thread, NULL, sink, &peer))
		tst_brk("no thread");
	while (sent < TOTAL) {
		long size = 1 + sent * 31 % sizeof(bytes);
		ssize_t count;

		if (size > TOTAL - sent)
			size = TOTAL - sent;
		for (long i = 0; i < size; i++)
			bytes[i] = (sent + i) * 7 + ((sent + i) >> 13);
		count = write(client, bytes, size);
		if (count <= 0)
			tst_brk("write: %s", tst_errno(errno));
		sent += count;
	}
	MUST(shutdown(client, SHUT_WR));
	pthread_join(thread, &seen);
	CHECK_EQ((long)seen, TOTAL);
	close(peer);
	close(client);
	close(server);
}

/* Without a reader a writer fills the buffers and is told when there is room again. */
static void back_pressure(void)
{
	int server = listener(1), client = MUST(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0)), peer, epoll;
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	static char bytes[65536];
	long sent = 0, received = 0;
	ssize_t count;

	CHECK_ERR(connect(client, &address.any, address_len), EINPROGRESS);
	wait_for(client, POLLOUT);
	peer = MUST(accept(server, NULL, NULL));
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event));
	CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
	while ((count = write(client, bytes, sizeof(bytes))) > 0)
		sent += count;
	CHECK(count == -1 && errno == EAGAIN, "a full buffer");
	CHECK(sent > 10000, "the buffers hold more than 10,000 bytes");
	while (received < sent && (count = read(peer, bytes, sizeof(bytes))) > 0)
		received += count;
	CHECK(received == sent, "all of it is received");
	CHECK_EQ(epoll_wait(epoll, &event, 1, 5000), 1);
	CHECK_EQ(event.events, EPOLLOUT);
	CHECK_EQ(write(client, "x", 1), 1);
	close(epoll);
	close(peer);
	close(client);
	close(server);
}

int main(void)
{
	int fd;

	for (int i = 0; i < 2; i++) {
		family = i ? AF_INET6 : AF_INET;
		fd = socket(family, SOCK_STREAM, 0);
		loopback();
		/* A host may have no IPv6. */
		if (fd < 0 || bind(fd, &address.any, address_len)) {
			tst_info("no loopback address of family %d", family);
			continue;
		}
		close(fd);
		connections();
		errors();
		bulk();
		back_pressure();
	}
	return tst_done();
}
