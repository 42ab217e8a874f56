/* Terminal calls on what is no terminal: ENOTTY for files, pipes, /dev/null and directories. */
#include "../tst.h"

#include <sys/ioctl.h>
#include <termios.h>

int main(void)
{
	static const char *const names[] = { "a file", "/dev/null", "a directory", "a pipe", "/dev/zero" };
	struct termios settings;
	struct winsize size;
	int fds[5], ends[2];

	MUST(pipe(ends));
	fds[0] = MUST(open("/proc/self/exe", O_RDONLY));
	fds[1] = MUST(open("/dev/null", O_RDWR));
	fds[2] = MUST(open("/", O_RDONLY));
	fds[3] = ends[0];
	fds[4] = MUST(open("/dev/zero", O_RDWR));
	for (int i = 0; i < 5; i++) {
		CHECK(tcgetattr(fds[i], &settings) == -1 && errno == ENOTTY, "tcgetattr of %s is ENOTTY", names[i]);
		CHECK(ioctl(fds[i], TIOCGWINSZ, &size) == -1 && errno == ENOTTY, "TIOCGWINSZ of %s is ENOTTY", names[i]);
		CHECK(ioctl(fds[i], 0x5499, 0) == -1 && errno == ENOTTY, "an unknown ioctl of %s is ENOTTY", names[i]);
		CHECK(!isatty(fds[i]), "%s is no terminal", names[i]);
	}
	CHECK_ERR(ioctl(-1, TCGETS, &settings), EBADF);
	CHECK_ERR(tcsetattr(fds[0], TCSANOW, &settings), ENOTTY);
	CHECK_ERR(tcgetpgrp(fds[1]), ENOTTY);
	return tst_done();
}
