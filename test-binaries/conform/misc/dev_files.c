/* /dev/null, zero, full, random, urandom: what they read, what they take, their modes and numbers. */
#include "../tst.h"

#include <sys/sysmacros.h>

static int open_device(const char *path, unsigned minor_number)
{
	struct stat status;
	int fd = MUST(open(path, O_RDWR));

	MUST(fstat(fd, &status));
	CHECK(S_ISCHR(status.st_mode) && (status.st_mode & 0777) == 0666, "%s is a character device for everyone", path);
	CHECK(major(status.st_rdev) == 1 && minor(status.st_rdev) == minor_number, "%s is 1:%u", path, minor_number);
	return fd;
}

int main(void)
{
	char one[64], two[64];
	char *map;
	int fd, same;

	fd = open_device("/dev/null", 3);
	CHECK_EQ(read(fd, one, 64), 0);
	CHECK_EQ(write(fd, one, 64), 64);
	CHECK_EQ(lseek(fd, 100, SEEK_SET), 0);
	CHECK_OK(close(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600)));

	fd = open_device("/dev/zero", 5);
	memset(one, 1, 64);
	CHECK_EQ(read(fd, one, 64), 64);
	CHECK(one[0] == 0 && !memcmp(one, one + 1, 63), "zeros");
	CHECK_EQ(write(fd, one, 64), 64);
	map = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	CHECK(map[5] == 0 && (map[5] = 3) && map[5] == 3, "a private mapping is memory");
	map = MUST(mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	CHECK(map[5] == 0, "a shared one too");
	CHECK_ERR(read(fd, TST_BAD, 10), EFAULT);

	fd = open_device("/dev/full", 7);
	memset(one, 1, 64);
	CHECK_EQ(read(fd, one, 64), 64);
	CHECK(one[0] == 0 && !memcmp(one, one + 1, 63), "zeros");
	CHECK_ERR(write(fd, one, 1), ENOSPC);

	for (int i = 0; i < 2; i++) {
		fd = open_device(i ? "/dev/urandom" : "/dev/random", i ? 9 : 8);
		CHECK_EQ(read(fd, one, 64), 64);
		CHECK_EQ(read(fd, two, 64), 64);
		same = !memcmp(one, two, 64);
		CHECK(!same, "different bytes each time");
		CHECK_EQ(write(fd, one, 64), 64);
	}
	CHECK_ERR(open("/dev/missing", O_RDONLY), ENOENT);
	CHECK_ERR(open("/dev/null/x", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("/dev/null", O_RDONLY | O_DIRECTORY), ENOTDIR);
	return tst_done();
}
