/* conform: timeout=60 */
/* Thousands of random operations on descriptors, pipes and event counters, the same on both systems: each result, errno and readiness counts. */
#include "../random.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define FIRST 10
#define LAST 40

/* Only numbers from FIRST on are used: what the harness opened is below. */
static int any(void)
{
	return FIRST + rnd(LAST - FIRST);
}

static void moved(int fd, const char *what)
{
	/* A new descriptor goes to a known place. */
	int to = any();

	note(fd < 0 ? -1 : 0, "%s to %d", what, to);
	if (fd < 0)
		return;
	if (fd != to) {
		note(dup2(fd, to), "dup2 %d", to);
		close(fd);
	}
}

static void show_ready(void)
{
	struct pollfd list[LAST - FIRST];

	for (int i = 0; i < LAST - FIRST; i++)
		list[i] = (struct pollfd){ FIRST + i, rnd(2) ? POLLIN | POLLOUT | POLLPRI : POLLRDNORM | POLLWRBAND, 0 };
	note(poll(list, LAST - FIRST, 0), "poll");
	for (int i = 0; i < LAST - FIRST; i++)
		note(list[i].revents, "    of %d", FIRST + i);
}

static void one_step(void)
{
	static char data[70000];
	int fd = any(), other = any(), flags, ends[2], number;
	long length, result;
	struct stat status;
	uint64_t value;
	struct iovec parts[3];

	switch (rnd(26)) {
	case 0:
		flags = (int[]){ 0, O_NONBLOCK, O_CLOEXEC | O_NONBLOCK, O_DIRECT | O_NONBLOCK }[rnd(4)] | O_NONBLOCK;
		if (pipe2(ends, flags)) {
			note(-1, "pipe2 %x", flags);
			break;
		}
		moved(ends[0], "pipe's output");
		moved(ends[1], "pipe's input");
		break;
	case 1:
		moved(open((const char *[]){ "/dev/null", "/dev/zero", "/dev/full", "/" }[rnd(4)],
			   (int[]){ O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK, O_PATH, O_RDWR | O_APPEND | O_CLOEXEC }[rnd(5)]), "open");
		break;
	case 2:
		moved(eventfd(rnd(3), EFD_NONBLOCK | (rnd(2) ? EFD_SEMAPHORE : 0)), "eventfd");
		break;
	case 3:
		moved(memfd_create("memory", 0), "memfd");
		break;
	case 4:
		moved(dup(fd), "dup");
		break;
	case 5:
		note(dup2(fd, other), "dup2 %d %d", fd, other);
		break;
	case 6:
		flags = rnd(4) ? O_CLOEXEC : rnd(2) * 7;
		note(dup3(fd, other, flags), "dup3 %d %d %x", fd, other, flags);
		break;
	case 7:
	case 8:
		note(close(fd), "close %d", fd);
		break;
	case 9:
		flags = rnd(8) ? 4 : 0;
		number = fd + rnd(3);
		note(syscall(SYS_close_range, fd, number, flags), "close_range %d %d %x", fd, number, flags);
		break;
	case 10:
		note(fcntl(fd, F_GETFD), "F_GETFD %d", fd);
		break;
	case 11:
		flags = rnd(4);
		note(fcntl(fd, F_SETFD, flags), "F_SETFD %d %d", fd, flags);
		break;
	case 12:
		note(fcntl(fd, F_GETFL), "F_GETFL %d", fd);
		break;
	case 13:
		/* Always with O_NONBLOCK, so that nothing waits. */
		flags = O_NONBLOCK | (rnd(2) ? O_APPEND : 0) | (rnd(4) ? 0 : O_DIRECT);
		result = fcntl(fd, F_GETFL);
		if (result >= 0 && (result & O_PATH) == 0 && fstat(fd, &status) == 0 && !S_ISFIFO(status.st_mode))
			flags &= ~O_DIRECT;
		note(fcntl(fd, F_SETFL, flags), "F_SETFL %d %x", fd, flags);
		break;
	case 14:
		moved(fcntl(fd, rnd(2) ? F_DUPFD : F_DUPFD_CLOEXEC, LAST + 5), "F_DUPFD");
		break;
	case 15:
	case 16:
		length = rnd(3) ? 1 + rnd(100) : rnd(70000);
		memset(data, rnd(256), length);
		note(write(fd, data, length), "write %d %ld", fd, length);
		break;
	case 17:
	case 18:
		length = rnd(3) ? 1 + rnd(100) : rnd(70000);
		result = read(fd, data, length);
		if (result > 0 && fcntl(fd, F_GETFL) >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0)
			result = 1, data[0] = 1;
		note(result, "read %d %ld", fd, length);
		if (result > 0)
			add(data, result);
		break;
	case 19:
		/* An event counter sees each part by itself in some versions of Linux. */
		if (fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == 0)
			break;
		for (int i = 0; i < 3; i++) {
			parts[i].iov_base = data + i * 20000;
			parts[i].iov_len = rnd(3) ? rnd(50) : rnd(9000);
		}
		note(writev(fd, parts, 3), "writev %d %zu %zu %zu", fd, parts[0].iov_len, parts[1].iov_len, parts[2].iov_len);
		break;
	case 20:
		number = -1;
		result = ioctl(fd, FIONREAD, &number);
		note(result, "FIONREAD %d", fd);
		if (!result)
			note(number, "    bytes");
		break;
	case 21:
		result = fstat(fd, &status);
		note(result, "fstat %d", fd);
		if (!result)
			note(status.st_mode & S_IFMT, "    kind, size %lld", S_ISREG(status.st_mode) && status.st_nlink == 0 ? (long long)status.st_size : 0);
		break;
	case 22:
		note(fcntl(fd, F_GETPIPE_SZ), "F_GETPIPE_SZ %d", fd);
		break;
	case 23:
		length = 1 << rnd(19);
		note(fcntl(fd, F_SETPIPE_SZ, length), "F_SETPIPE_SZ %d %ld", fd, length);
		break;
	case 24:
		value = rnd(3);
		note(write(fd, &value, 8), "write %d of %d", fd, (int)value);
		break;
	default:
		flags = rnd(3);
		length = (long)rnd(3000) - 1000;
		if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
			break;
		note(lseek(fd, length, flags), "lseek %d %ld %d", fd, length, flags);
		break;
	}
}

static void operation(void)
{
	one_step();
	if (step % 20 == 0)
		show_ready();
}

int main(void)
{
	random_start();
	signal(SIGPIPE, SIG_IGN);
	for (int fd = 3; fd < LAST + 10; fd++)
		close(fd);
	random_rounds(40, 200, operation);
	return tst_done();
}
