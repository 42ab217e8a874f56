/* UDP on the loopback interface: addresses, connections, truncation, errors, ancillary data, several messages at a time. */
#include "../tst.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct sockaddr_in local(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	MUST(getsockname(fd, (struct sockaddr *)&address, &len));
	CHECK_EQ(len, sizeof(address));
	return address;
}

static int bound(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	MUST(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

#define TO(address) (struct sockaddr *)&(address), sizeof(address)

int main(void)
{
	int a = bound(), b = bound(), c = MUST(socket(AF_INET, SOCK_DGRAM, 0)), value, on = 1;
	struct sockaddr_in at_a = local(a), at_b = local(b), from = { 0 };
	socklen_t len = sizeof(from);
	char text[64] = "";
	char control[128];
	struct iovec part = { text, sizeof(text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct mmsghdr many[3];
	struct iovec parts[3];
	struct in_pktinfo *info;
	struct cmsghdr *head;

	CHECK_EQ(sendto(a, "one", 3, 0, TO(at_b)), 3);
	CHECK_EQ(sendto(a, "", 0, 0, TO(at_b)), 0);
	CHECK_EQ(sendto(a, "three", 5, 0, TO(at_b)), 5);
	MUST(ioctl(b, FIONREAD, &value));
	CHECK_EQ(value, 3);
	CHECK_EQ(recvfrom(b, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 3);
	CHECK_EQ(len, sizeof(from));
	CHECK_EQ(from.sin_port, at_a.sin_port);
	CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(read(b, text, sizeof(text)), 0);
	CHECK_EQ(recv(b, text, 2, MSG_TRUNC | MSG_PEEK), 5);
	CHECK_EQ(recvmsg(b, &(struct msghdr){ .msg_iov = &(struct iovec){ text, 2 }, .msg_iovlen = 1 }, 0), 2);
	CHECK_ERR(recv(b, text, 1, MSG_DONTWAIT), EAGAIN);

	/* A peer: nobody else is heard, and no address is needed. */
	CHECK_ERR(send(c, "x", 1, 0), EDESTADDRREQ);
	CHECK_ERR(getpeername(c, (struct sockaddr *)&from, &len), ENOTCONN);
	MUST(connect(c, TO(at_b)));
	CHECK_EQ(send(c, "from c", 6, 0), 6);
	len = sizeof(from);
	CHECK_EQ(recvfrom(b, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 6);
	CHECK_EQ(sendto(a, "not the peer", 12, 0, TO(from)), 12);
	CHECK_EQ(sendto(b, "the peer", 8, 0, TO(from)), 8);
	CHECK_EQ(recv(c, text, sizeof(text), 0), 8);
	MUST(connect(c, (struct sockaddr *)&(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	CHECK_ERR(send(c, "x", 1, 0), EDESTADDRREQ);

	/* Nobody is there: the next call says so, once. */
	MUST(connect(c, TO(at_b)));
	close(b);
	CHECK_EQ(send(c, "x", 1, 0), 1);
	CHECK_EQ(poll(&(struct pollfd){ c, POLLIN, 0 }, 1, 5000), 1);
	CHECK_ERR(recv(c, text, 1, MSG_DONTWAIT), ECONNREFUSED);
	CHECK_ERR(recv(c, text, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERR(sendto(c, "x", 1, 0, (struct sockaddr *)&at_b, 7), EINVAL);
	CHECK_ERR(sendto(c, text, 70000, 0, TO(at_a)), EMSGSIZE);

	/* Where it was sent to. */
	MUST(setsockopt(a, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)));
	MUST(setsockopt(a, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)));
	CHECK_EQ(sendto(c, "info", 4, 0, TO(at_a)), 4);
	CHECK_EQ(recvmsg(a, &message, 0), 4);
	CHECK_EQ(message.msg_flags, 0);
	for (head = CMSG_FIRSTHDR(&message), value = 0; head; head = CMSG_NXTHDR(&message, head)) {
		if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_PKTINFO) {
			info = (struct in_pktinfo *)CMSG_DATA(head);
			CHECK_EQ(info->ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
			CHECK_EQ(info->ipi_ifindex, 1);
			value |= 1;
		} else if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_TTL) {
			CHECK_EQ(*(int *)CMSG_DATA(head), 64);
			value |= 2;
		}
	}
	CHECK_EQ(value, 3);

	/* Several at a time. */
	for (int i = 0; i < 3; i++) {
		parts[i] = (struct iovec){ text + 8 * i, 4 + i };
		many[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &at_a, .msg_namelen = sizeof(at_a), .msg_iov = parts + i, .msg_iovlen = 1 } };
	}
	CHECK_EQ(sendmmsg(c, many, 3, 0), 3);
	CHECK_EQ(many[2].msg_len, 6);
	for (int i = 0; i < 3; i++)
		many[i].msg_hdr.msg_name = NULL;
	CHECK_EQ(recvmmsg(a, many, 3, MSG_DONTWAIT, NULL), 3);
	CHECK_EQ(many[0].msg_len, 4);
	CHECK_EQ(many[2].msg_len, 6);
	CHECK_ERR(recvmmsg(a, many, 3, MSG_DONTWAIT, NULL), EAGAIN);

	CHECK_ERR(listen(a, 1), EOPNOTSUPP);
	CHECK_ERR(accept(a, NULL, NULL), EOPNOTSUPP);
	CHECK_ERR(shutdown(a, SHUT_RD), ENOTCONN);
	CHECK_ERR(shutdown(a, 3), EINVAL);
	close(a);
	close(c);
	return tst_done();
}
