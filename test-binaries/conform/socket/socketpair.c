/* socketpair: streams and messages, half-close, reset, peeking, files sent along, options. */
#include "../tst.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int ready(int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT | POLLRDHUP, 0 };

	poll(&one, 1, 0);
	return one.revents;
}

int main(void)
{
	struct iovec part;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	struct cmsghdr *head;
	struct stat meta;
	struct sockaddr name;
	socklen_t len;
	char text[64] = "";
	int s[2], ends[2], value, file;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	CHECK_EQ(fcntl(s[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(s[0], F_GETFL), O_RDWR);
	MUST(fstat(s[0], &meta));
	CHECK_EQ(meta.st_mode & S_IFMT, S_IFSOCK);
	CHECK_EQ(ready(s[0]), POLLOUT);
	CHECK_EQ(write(s[0], "hello", 5), 5);
	CHECK_EQ(send(s[0], " you", 4, 0), 4);
	CHECK_EQ(ready(s[1]), POLLIN | POLLOUT);
	MUST(ioctl(s[1], FIONREAD, &value));
	CHECK_EQ(value, 9);
	CHECK_EQ(recv(s[1], text, 5, MSG_PEEK), 5);
	CHECK_EQ(recv(s[1], text, sizeof(text), 0), 9);
	text[9] = 0;
	CHECK_STR(text, "hello you");
	CHECK_ERR(recv(s[1], text, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERR(lseek(s[0], 0, SEEK_CUR), ESPIPE);
	len = sizeof(value);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &value, &len), 0);
	CHECK_EQ(value, SOCK_STREAM);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &value, &len), 0);
	CHECK_EQ(value, AF_UNIX);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &value, &len), 0);
	CHECK_EQ(value, 0);
	len = sizeof(name);
	CHECK_EQ(getpeername(s[0], &name, &len), 0);
	CHECK_EQ(len, 2);
	CHECK_EQ(name.sa_family, AF_UNIX);
	MUST(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 0, 20000 }, sizeof(struct timeval)));
	CHECK_ERR(read(s[0], text, 1), EAGAIN);

	/* A file sent along. */
	tst_file(tst_path("sent"), "contents");
	file = MUST(open(tst_path("sent"), O_RDONLY));
	memset(&control, 0, sizeof(control));
	part = (struct iovec){ "f", 1 };
	message.msg_control = control.bytes;
	message.msg_controllen = sizeof(control.bytes);
	head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &file, sizeof(int));
	CHECK_EQ(sendmsg(s[0], &message, 0), 1);
	part = (struct iovec){ text, sizeof(text) };
	memset(&control, 0, sizeof(control));
	CHECK_EQ(recvmsg(s[1], &message, MSG_CMSG_CLOEXEC), 1);
	head = CMSG_FIRSTHDR(&message);
	CHECK(head && head->cmsg_type == SCM_RIGHTS, "the file arrives");
	memcpy(&value, CMSG_DATA(head), sizeof(int));
	CHECK(value != file, "under a number of its own");
	CHECK_EQ(fcntl(value, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(read(value, text, 8), 8);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 8);

	CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
	CHECK_EQ(read(s[1], text, 1), 0);
	CHECK_EQ(ready(s[1]), POLLIN | POLLOUT | POLLRDHUP);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(s[0], "x", 1), EPIPE);
	CHECK_EQ(write(s[1], "y", 1), 1);
	MUST(close(s[0]));
	CHECK_EQ(ready(s[1]) & (POLLHUP | POLLRDHUP | POLLIN), POLLHUP | POLLRDHUP | POLLIN);
	CHECK_ERR(write(s[1], "z", 1), EPIPE);
	CHECK_ERR(read(s[1], text, 1), ECONNRESET);
	CHECK_EQ(read(s[1], text, 1), 0);
	CHECK_ERR(send(s[1], "z", 1, MSG_NOSIGNAL), EPIPE);
	MUST(close(s[1]));

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s));
	MUST(write(s[0], "unread", 6));
	MUST(close(s[1]));
	CHECK_ERR(write(s[0], "z", 1), ECONNRESET);
	CHECK_ERR(write(s[0], "z", 1), EPIPE);
	CHECK_EQ(read(s[0], text, 1), 0);
	MUST(close(s[0]));

	MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s));
	MUST(write(s[1], "forgotten", 9));
	MUST(close(s[1]));
	CHECK_EQ(recv(s[0], text, 1, MSG_PEEK), 1);
	CHECK_ERR(write(s[0], "z", 1), ECONNREFUSED);
	CHECK_ERR(read(s[0], text, 1), EAGAIN);
	CHECK_ERR(write(s[0], "z", 1), ENOTCONN);
	MUST(close(s[0]));

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s));
	CHECK_EQ(write(s[0], "first", 5), 5);
	CHECK_EQ(write(s[0], "second", 6), 6);
	CHECK_EQ(recv(s[1], text, 2, MSG_TRUNC), 5);
	CHECK_EQ(read(s[1], text, sizeof(text)), 6);
	CHECK_ERR(read(s[1], text, sizeof(text)), EAGAIN);
	MUST(close(s[0]));
	CHECK_EQ(read(s[1], text, sizeof(text)), 0);
	MUST(close(s[1]));

	CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 99, s), EPROTONOSUPPORT);
	CHECK_ERR(socketpair(AF_UNIX, SOCK_RDM, 0, s), ESOCKTNOSUPPORT);
	CHECK_ERR(socketpair(AF_UNIX, 11, 0, s), EINVAL);
	CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, TST_BAD), EFAULT);
	MUST(pipe(ends));
	CHECK_ERR(send(ends[1], "x", 1, 0), ENOTSOCK);
	CHECK_ERR(shutdown(99, SHUT_RD), EBADF);
	return tst_done();
}
