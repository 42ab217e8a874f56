/* openat2(2): the modes of resolution, one by one and together; sizes of the structure; and the errors. */
#include "../tst.h"

struct how {
	uint64_t flags, mode, resolve, more;
};

#define NO_XDEV 1
#define NO_MAGICLINKS 2
#define NO_SYMLINKS 4
#define BENEATH 8
#define IN_ROOT 16

static int folder;

static long resolve(const char *path, uint64_t flags, uint64_t how)
{
	struct how value = { .flags = flags, .resolve = how };
	long fd = syscall(SYS_openat2, folder, path, &value, 24);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void check(const char *dir)
{
	struct how value = { .flags = O_RDONLY };
	long fd;

	(void)dir;
	MUST(mkdir("top", 0755));
	MUST(mkdir("top/sub", 0755));
	tst_file("top/file", "inside");
	tst_file("file", "outside");
	MUST(symlink("file", "top/link"));
	MUST(symlink("../file", "top/up"));
	MUST(symlink("/file", "top/absolute"));
	MUST(symlink("sub/../link", "top/chain"));
	folder = MUST(open("top", O_RDONLY | O_DIRECTORY));

	CHECK_EQ(resolve("file", O_RDONLY, 0), 0);
	CHECK_EQ(resolve("link", O_RDONLY, BENEATH), 0);
	CHECK_EQ(resolve("chain", O_RDONLY, BENEATH), 0);
	CHECK_EQ(resolve("sub/../file", O_RDONLY, BENEATH), 0);
	CHECK_ERR(resolve("../file", O_RDONLY, BENEATH), EXDEV);
	CHECK_ERR(resolve("up", O_RDONLY, BENEATH), EXDEV);
	CHECK_ERR(resolve("absolute", O_RDONLY, BENEATH), EXDEV);
	CHECK_ERR(resolve("/etc", O_RDONLY, BENEATH), EXDEV);
	CHECK_EQ(resolve("up", O_RDONLY, IN_ROOT), 0);
	CHECK_EQ(resolve("absolute", O_RDONLY, IN_ROOT), 0);
	CHECK_EQ(resolve("/file", O_RDONLY, IN_ROOT), 0);
	CHECK_EQ(resolve("../../../file", O_RDONLY, IN_ROOT), 0);
	CHECK_ERR(resolve("/etc/passwd", O_RDONLY, IN_ROOT), ENOENT);
	CHECK_ERR(resolve("link", O_RDONLY, NO_SYMLINKS), ELOOP);
	CHECK_EQ(resolve("file", O_RDONLY, NO_SYMLINKS), 0);
	CHECK_EQ(resolve("link", O_PATH | O_NOFOLLOW, NO_SYMLINKS), 0);
	CHECK_ERR(resolve("/proc/self/exe", O_RDONLY, NO_MAGICLINKS), ELOOP);
	CHECK_EQ(resolve("link", O_RDONLY, NO_MAGICLINKS), 0);
	CHECK_ERR(resolve("/proc/version", O_RDONLY, NO_XDEV), EXDEV);
	CHECK_EQ(resolve("link", O_RDONLY, NO_XDEV), 0);
	CHECK_ERR(resolve("missing", O_RDONLY, BENEATH), ENOENT);

	value.flags = O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC;
	value.mode = 0640;
	fd = syscall(SYS_openat2, folder, "new", &value, sizeof(value));
	CHECK(fd >= 0, "a file can be made with it");
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	MUST(close(fd));
	CHECK_ERR(syscall(SYS_openat2, folder, "new", &value, sizeof(value)), EEXIST);
	value.flags = O_RDONLY;
	CHECK_ERR(syscall(SYS_openat2, folder, "new", &value, 24), EINVAL);
	value.mode = 0;
	CHECK_ERR(syscall(SYS_openat2, folder, "new", &value, 23), EINVAL);
	value.more = 1;
	CHECK_ERR(syscall(SYS_openat2, folder, "new", &value, sizeof(value)), E2BIG);
	CHECK_ERR(syscall(SYS_openat2, folder, "new", TST_BAD, 24), EFAULT);
	CHECK_ERR(resolve("new", O_RDONLY, 0x1000), EINVAL);
	CHECK_ERR(resolve("new", O_RDONLY, BENEATH | IN_ROOT), EINVAL);
	CHECK_ERR(resolve("new", 1ULL << 40, 0), EINVAL);
	CHECK_ERR(resolve("new", O_PATH | O_RDWR, 0), EINVAL);
	MUST(close(folder));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
