/* Directories that programs expect, their modes, and that a file can be made where that is usual. */
#include "../tst.h"

static void usable(const char *dir)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/conform-XXXXXX", dir);
	fd = mkstemp(path);
	CHECK(fd >= 0, "a file can be made in %s", dir);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && unlink(path) == 0, "written and removed in %s", dir);
	close(fd);
}

int main(void)
{
	static const char *const dirs[] = { "/dev", "/proc", "/sys", "/tmp", "/run", "/dev/shm" };
	struct stat status;
	char target[64] = { 0 };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		CHECK(stat(dirs[i], &status) == 0 && S_ISDIR(status.st_mode), "%s is a directory", dirs[i]);
	MUST(stat("/tmp", &status));
	CHECK_EQ(status.st_mode & 07777, 01777);
	MUST(stat("/dev/shm", &status));
	CHECK_EQ(status.st_mode & 07777, 01777);
	MUST(stat("/proc", &status));
	CHECK_EQ(status.st_mode & 07777, 0555);
	usable("/tmp");
	usable("/dev/shm");
	usable("/run");
	CHECK(readlink("/dev/stdin", target, sizeof(target) - 1) > 0, "/dev/stdin is a link");
	CHECK_STR(target, "/proc/self/fd/0");
	CHECK(stat("/dev/tty", &status) == 0 && S_ISCHR(status.st_mode), "/dev/tty is a device");
	CHECK(stat("/dev/console", &status) == 0 && S_ISCHR(status.st_mode), "/dev/console is a device");
	return tst_done();
}
