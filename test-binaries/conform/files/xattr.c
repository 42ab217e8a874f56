/* setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their relatives on the root filesystem: values, sizes, flags; and the errors. */
#include "../tst.h"

#include <sys/xattr.h>

/* Whether a list of names has this one. */
static int has(const char *list, long length, const char *name)
{
	for (long at = 0; at < length; at += strlen(list + at) + 1)
		if (!strcmp(list + at, name))
			return 1;
	return 0;
}

static void check(const char *dir)
{
	static char large[70000];
	char value[64] = { 0 }, list[256];
	long length;
	int fd, path;

	(void)dir;
	tst_file("file", "text");
	MUST(symlink("file", "link"));
	MUST(mkdir("folder", 0755));
	CHECK_EQ(setxattr("file", "user.one", "1234", 4, 0), 0);
	CHECK_EQ(getxattr("file", "user.one", value, sizeof(value)), 4);
	CHECK(!memcmp(value, "1234", 4), "the value reads back");
	CHECK_EQ(getxattr("link", "user.one", NULL, 0), 4);
	CHECK_ERR(getxattr("file", "user.one", value, 3), ERANGE);
	CHECK_ERR(getxattr("file", "user.two", value, sizeof(value)), ENODATA);
	CHECK_ERR(setxattr("file", "user.one", "x", 1, XATTR_CREATE), EEXIST);
	CHECK_ERR(setxattr("file", "user.two", "x", 1, XATTR_REPLACE), ENODATA);
	CHECK_EQ(setxattr("file", "user.one", "xy", 2, XATTR_REPLACE), 0);
	CHECK_EQ(setxattr("file", "user.two", "", 0, XATTR_CREATE), 0);
	CHECK_EQ(getxattr("file", "user.two", value, sizeof(value)), 0);
	length = listxattr("file", list, sizeof(list));
	CHECK(has(list, length, "user.one") && has(list, length, "user.two"), "both are listed");
	CHECK_EQ(listxattr("file", NULL, 0), length);
	CHECK_ERR(listxattr("file", list, 3), ERANGE);
	fd = MUST(open("file", O_RDONLY));
	CHECK_EQ(fgetxattr(fd, "user.one", value, sizeof(value)), 2);
	CHECK_EQ(fsetxattr(fd, "user.three", "3", 1, 0), 0);
	CHECK_EQ(flistxattr(fd, NULL, 0), length + 11);
	CHECK_EQ(fremovexattr(fd, "user.three"), 0);
	CHECK_EQ(removexattr("file", "user.one"), 0);
	CHECK_ERR(removexattr("file", "user.one"), ENODATA);
	CHECK_ERR(getxattr("file", "user.one", value, sizeof(value)), ENODATA);
	CHECK_EQ(setxattr("folder", "user.dir", "d", 1, 0), 0);
	CHECK_EQ(lgetxattr("folder", "user.dir", value, sizeof(value)), 1);
	CHECK_ERR(lsetxattr("link", "user.x", "x", 1, 0), EPERM);
	CHECK_ERR(lgetxattr("link", "user.x", value, sizeof(value)), ENODATA);
	CHECK_ERR(setxattr("file", "nothing", "x", 1, 0), EOPNOTSUPP);
	CHECK_ERR(setxattr("file", "other.x", "x", 1, 0), EOPNOTSUPP);
	CHECK_ERR(setxattr("file", "user.", "x", 1, 0), EINVAL);
	CHECK_ERR(setxattr("file", "", "x", 1, 0), ERANGE);
	CHECK_ERR(setxattr("file", "user.x", "x", 1, 7), EINVAL);
	CHECK_ERR(setxattr("file", "user.x", large, sizeof(large), 0), E2BIG);
	memset(large, 'n', 300);
	memcpy(large, "user.", 5);
	CHECK_ERR(setxattr("file", large, "x", 1, 0), ERANGE);
	CHECK_ERR(getxattr("missing", "user.x", value, 1), ENOENT);
	CHECK_ERR(fgetxattr(-1, "user.x", value, 1), EBADF);
	path = MUST(open("file", O_PATH));
	CHECK_ERR(fgetxattr(path, "user.x", value, 1), EBADF);
	CHECK_ERR(syscall(SYS_setxattr, "file", "user.x", TST_BAD, 1, 0), EFAULT);
	CHECK_ERR(syscall(SYS_setxattr, "file", TST_BAD, "x", 1, 0), EFAULT);
	MUST(close(path));
	MUST(close(fd));
}

int main(void)
{
	tst_in_dir("", check);
	return tst_done();
}
