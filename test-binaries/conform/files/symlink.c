/* symlink(2), symlinkat(2), readlink(2), readlinkat(2): any text, cut at the buffer, followed in paths; and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	char target[PATH_MAX + 1], *longest = malloc(PATH_MAX + 1);
	struct stat status;
	int folder;

	(void)dir;
	memset(target, '#', sizeof(target));
	CHECK_EQ(symlink("any text: even /no//path", "link"), 0);
	CHECK_EQ(readlink("link", target, sizeof(target)), 24);
	CHECK(!memcmp(target, "any text: even /no//path#", 25), "the text without a zero behind it");
	CHECK_EQ(readlink("link", target, 3), 3);
	CHECK(!memcmp(target, "any text", 8), "a short buffer gets the start");
	MUST(lstat("link", &status));
	CHECK_EQ(status.st_size, 24);

	memset(longest, 'x', PATH_MAX);
	longest[PATH_MAX] = 0;
	CHECK_ERR(symlink(longest, "long"), ENAMETOOLONG);
	longest[200] = 0;
	CHECK_EQ(symlink(longest, "long"), 0);
	CHECK_EQ(readlink("long", target, sizeof(target)), 200);
	longest[200] = 'x';
	longest[PATH_MAX - 2] = 0;
	CHECK_EQ(symlink(longest, "longer"), 0);
	CHECK_EQ(readlink("longer", target, sizeof(target)), PATH_MAX - 2);

	MUST(mkdir("folder", 0755));
	MUST(symlink("..", "folder/up"));
	tst_file("file", "found");
	CHECK_EQ(access("folder/up/folder/up/folder/../file", F_OK), 0);
	folder = MUST(open("folder", O_RDONLY));
	CHECK_EQ(symlinkat("../file", folder, "file"), 0);
	CHECK_EQ(readlinkat(folder, "file", target, sizeof(target)), 7);
	CHECK(tst_read_file("folder/file", target, sizeof(target)) == 5, "a relative link starts from its own directory");

	CHECK_ERR(symlink("x", "link"), EEXIST);
	CHECK_ERR(symlink("", "empty"), ENOENT);
	CHECK_ERR(symlink("x", "missing/x"), ENOENT);
	CHECK_ERR(symlink("x", "file/x"), ENOTDIR);
	CHECK_ERR(symlink(TST_BAD, "x"), EFAULT);
	CHECK_ERR(readlink("file", target, 10), EINVAL);
	CHECK_ERR(readlink("folder", target, 10), EINVAL);
	CHECK_ERR(readlink("missing", target, 10), ENOENT);
	CHECK_ERR(readlink("file/x", target, 10), ENOTDIR);
	CHECK_ERR(syscall(SYS_readlink, "link", target, 0), EINVAL);
	CHECK_ERR(syscall(SYS_readlink, "link", target, TST_MINUS), EINVAL);
	CHECK_ERR(readlink("link", TST_BAD, 10), EFAULT);
	CHECK_ERR(readlinkat(-1, "link", target, 10), EBADF);
	MUST(close(folder));
	free(longest);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
