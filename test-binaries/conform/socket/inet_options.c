/* Options of TCP and UDP sockets: what is set is there, what is wrong is refused. */
#include "../tst.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int get(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, option, &value, &len))
		return -errno;
	return value;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

#define KEPT(fd, level, option, value)                                  \
	do {                                                            \
		CHECK_EQ(set(fd, level, option, value), 0);             \
		CHECK_EQ(get(fd, level, option), value);                \
	} while (0)

int main(void)
{
	int tcp = MUST(socket(AF_INET, SOCK_STREAM, 0)), udp = MUST(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP));
	int tcp6 = socket(AF_INET6, SOCK_STREAM, 0);
	struct linger linger = { 1, 7 };
	struct tcp_info info;
	socklen_t len = sizeof(linger);
	char name[16];

	CHECK_EQ(get(tcp, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	CHECK_EQ(get(tcp, SOL_SOCKET, SO_DOMAIN), AF_INET);
	CHECK_EQ(get(tcp, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	CHECK_EQ(get(tcp, SOL_SOCKET, SO_ACCEPTCONN), 0);
	CHECK_EQ(get(udp, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	CHECK_EQ(get(udp, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
	KEPT(tcp, SOL_SOCKET, SO_REUSEADDR, 1);
	KEPT(tcp, SOL_SOCKET, SO_REUSEPORT, 1);
	KEPT(tcp, SOL_SOCKET, SO_KEEPALIVE, 1);
	KEPT(tcp, IPPROTO_TCP, TCP_NODELAY, 1);
	KEPT(tcp, IPPROTO_TCP, TCP_CORK, 1);
	KEPT(tcp, IPPROTO_TCP, TCP_KEEPIDLE, 100);
	KEPT(tcp, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	KEPT(tcp, IPPROTO_TCP, TCP_KEEPCNT, 3);
	KEPT(tcp, IPPROTO_TCP, TCP_SYNCNT, 4);
	KEPT(tcp, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	KEPT(tcp, IPPROTO_IP, IP_TTL, 33);
	KEPT(udp, SOL_SOCKET, SO_BROADCAST, 1);
	KEPT(udp, IPPROTO_IP, IP_TTL, 33);
	KEPT(udp, IPPROTO_IP, IP_TOS, 0x10);
	KEPT(udp, IPPROTO_IP, IP_MULTICAST_TTL, 9);
	KEPT(udp, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
	KEPT(udp, IPPROTO_IP, IP_PKTINFO, 1);
	CHECK_EQ(set(tcp, IPPROTO_TCP, TCP_KEEPIDLE, 0), -EINVAL);
	CHECK_EQ(set(tcp, IPPROTO_TCP, TCP_KEEPIDLE, 40000), -EINVAL);
	CHECK_EQ(set(tcp, IPPROTO_TCP, TCP_KEEPCNT, 128), -EINVAL);
	CHECK_EQ(set(tcp, IPPROTO_TCP, TCP_SYNCNT, 0), -EINVAL);
	CHECK_EQ(set(tcp, IPPROTO_TCP, TCP_USER_TIMEOUT, -1), -EINVAL);
	CHECK_EQ(set(tcp, IPPROTO_IP, IP_TTL, 0), -EINVAL);
	CHECK_EQ(set(tcp, IPPROTO_IP, IP_TTL, 256), -EINVAL);
	CHECK_EQ(set(tcp, SOL_SOCKET, SO_ERROR, 0), -ENOPROTOOPT);
	CHECK_EQ(set(tcp, SOL_SOCKET, SO_TYPE, 0), -ENOPROTOOPT);
	CHECK_EQ(set(tcp, SOL_SOCKET, 9999, 0), -ENOPROTOOPT);
	CHECK_EQ(get(tcp, SOL_SOCKET, 9999), -ENOPROTOOPT);
	CHECK_EQ(set(tcp, IPPROTO_TCP, 9999, 0), -ENOPROTOOPT);
	CHECK_EQ(get(tcp, IPPROTO_TCP, 9999), -ENOPROTOOPT);
	CHECK_ERR(setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, "", 1), EINVAL);
	CHECK_ERR(setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, TST_BAD, 4), EFAULT);

	/* Sizes of buffers are doubled, and have a least one. */
	CHECK_EQ(set(tcp, SOL_SOCKET, SO_SNDBUF, 30000), 0);
	CHECK_EQ(get(tcp, SOL_SOCKET, SO_SNDBUF), 60000);
	CHECK_EQ(set(tcp, SOL_SOCKET, SO_RCVBUF, 30000), 0);
	CHECK_EQ(get(tcp, SOL_SOCKET, SO_RCVBUF), 60000);
	CHECK_EQ(set(udp, SOL_SOCKET, SO_RCVBUF, 0), 0);
	CHECK_EQ(get(udp, SOL_SOCKET, SO_RCVBUF), 2304);
	CHECK_EQ(set(udp, SOL_SOCKET, SO_SNDBUF, 0), 0);
	CHECK_EQ(get(udp, SOL_SOCKET, SO_SNDBUF), 4608);

	MUST(setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	memset(&linger, 0, sizeof(linger));
	MUST(getsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, &len));
	CHECK_EQ(linger.l_onoff, 1);
	CHECK_EQ(linger.l_linger, 7);
	len = sizeof(info);
	memset(&info, 0xff, sizeof(info));
	MUST(getsockopt(tcp, IPPROTO_TCP, TCP_INFO, &info, &len));
	CHECK(len >= 104, "a long enough tcp_info");
	CHECK_EQ(info.tcpi_state, TCP_CLOSE);
	len = sizeof(name);
	MUST(getsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	CHECK_EQ(len, 16);
	CHECK_ERR(setsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8), ENOENT);
	if (tcp6 >= 0) {
		KEPT(tcp6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		KEPT(tcp6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 5);
		CHECK_EQ(set(tcp6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256), -EINVAL);
		CHECK_EQ(set(tcp6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1), 0);
		CHECK_EQ(get(tcp6, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64);
	}
	return tst_done();
}
