/* Descriptors 0, 1 and 2 as pipes or files: modes, fstat, an end of input, /dev/stdin and its kin. */
#include "../tst.h"

int main(void)
{
	struct stat one, two;
	char byte, target[256] = { 0 };

	for (int fd = 0; fd < 3; fd++) {
		char path[32];

		CHECK(fstat(fd, &one) == 0, "descriptor %d is open", fd);
		snprintf(path, sizeof(path), "/dev/fd/%d", fd);
		CHECK(stat(path, &two) == 0 && one.st_ino == two.st_ino && one.st_dev == two.st_dev, "/dev/fd/%d is the same file", fd);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		CHECK(readlink(path, target, sizeof(target) - 1) > 0, "it has a name in /proc");
	}
	CHECK((fcntl(0, F_GETFL) & O_ACCMODE) != O_WRONLY, "standard input can be read");
	CHECK((fcntl(1, F_GETFL) & O_ACCMODE) != O_RDONLY, "standard output can be written");
	CHECK_EQ(read(0, &byte, 1), 0);
	CHECK_EQ(write(1, "", 0), 0);
	MUST(fstat(0, &one));
	CHECK(stat("/dev/stdin", &two) == 0 && one.st_ino == two.st_ino, "/dev/stdin");
	MUST(fstat(1, &one));
	CHECK(stat("/dev/stdout", &two) == 0 && one.st_ino == two.st_ino, "/dev/stdout");
	MUST(fstat(2, &one));
	CHECK(stat("/dev/stderr", &two) == 0 && one.st_ino == two.st_ino, "/dev/stderr");
	CHECK_ERR(fcntl(3, F_GETFD), EBADF);
	return tst_done();
}
