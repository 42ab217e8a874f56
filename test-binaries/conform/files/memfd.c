/* memfd_create(2): a file without a name, its mappings, its seals; and its errors. */
#include "../tst.h"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#endif
enum { CLOEXEC = 1, ALLOW_SEALING = 2, SEAL_SHRINK = 2, SEAL_GROW = 4, SEAL_WRITE = 8, SEAL_SEAL = 1 };

static int create(const char *name, unsigned flags)
{
	return syscall(SYS_memfd_create, name, flags);
}

int main(void)
{
	char target[64] = { 0 }, path[32], longest[300], text[8] = { 0 }, *map;
	struct stat status;
	int fd = MUST(create("name", CLOEXEC)), sealed;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	MUST(fstat(fd, &status));
	CHECK(S_ISREG(status.st_mode) && status.st_nlink == 0 && status.st_size == 0, "an empty file without a name");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	MUST(readlink(path, target, sizeof(target) - 1));
	CHECK_STR(target, "/memfd:name (deleted)");
	MUST(ftruncate(fd, TST_PAGE));
	map = MUST(mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	strcpy(map, "mapped");
	CHECK_EQ(pread(fd, text, 6, 0), 6);
	CHECK_STR(text, "mapped");
	CHECK_EQ(fcntl(fd, F_GET_SEALS), SEAL_SEAL);
	CHECK_ERR(fcntl(fd, F_ADD_SEALS, SEAL_GROW), EPERM);

	sealed = MUST(create("sealed", ALLOW_SEALING));
	CHECK_EQ(fcntl(sealed, F_GET_SEALS), 0);
	MUST(ftruncate(sealed, 100));
	CHECK_EQ(fcntl(sealed, F_ADD_SEALS, SEAL_SHRINK | SEAL_GROW), 0);
	CHECK_ERR(ftruncate(sealed, 99), EPERM);
	CHECK_ERR(ftruncate(sealed, 101), EPERM);
	CHECK_EQ(pwrite(sealed, "x", 1, 50), 1);
	CHECK_ERR(pwrite(sealed, "x", 1, 100), EPERM);
	CHECK_EQ(fcntl(sealed, F_ADD_SEALS, SEAL_WRITE), 0);
	CHECK_ERR(pwrite(sealed, "x", 1, 50), EPERM);
	CHECK_ERR(mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, sealed, 0), EPERM);
	CHECK_OK(mmap(NULL, TST_PAGE, PROT_READ, MAP_SHARED, sealed, 0));
	CHECK_EQ(fcntl(sealed, F_GET_SEALS), SEAL_SHRINK | SEAL_GROW | SEAL_WRITE);

	CHECK_ERR(create("x", 0x1000), EINVAL);
	CHECK_ERR(create(TST_BAD, 0), EFAULT);
	memset(longest, 'x', 299);
	longest[299] = 0;
	CHECK_ERR(create(longest, 0), EINVAL);
	longest[249] = 0;
	CHECK_OK(create(longest, 0));
	return tst_done();
}
