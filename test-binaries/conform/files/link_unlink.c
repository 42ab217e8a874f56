/* link(2), linkat(2), unlink(2), unlinkat(2): counts, files without a name that live on, and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	struct stat one, two;
	char text[8] = { 0 }, target[64] = { 0 }, path[64];
	int fd;

	(void)dir;
	tst_file("one", "text");
	MUST(mkdir("folder", 0755));
	MUST(symlink("one", "link"));
	CHECK_EQ(link("one", "folder/two"), 0);
	MUST(stat("one", &one));
	MUST(stat("folder/two", &two));
	CHECK(one.st_ino == two.st_ino && two.st_nlink == 2, "two names of one file");
	CHECK_EQ(link("link", "linklink"), 0);
	MUST(lstat("linklink", &two));
	CHECK(S_ISLNK(two.st_mode), "link does not follow a symbolic link");
	CHECK_EQ(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW), 0);
	MUST(lstat("followed", &two));
	CHECK(two.st_ino == one.st_ino && two.st_nlink == 3, "AT_SYMLINK_FOLLOW does");
	CHECK_ERR(link("one", "folder/two"), EEXIST);
	CHECK_ERR(link("missing", "x"), ENOENT);
	CHECK_ERR(link("one", "missing/x"), ENOENT);
	CHECK_ERR(link("one", "one/x"), ENOTDIR);
	CHECK_ERR(link("folder", "x"), EPERM);
	CHECK_ERR(link("one", "/dev/shm/x"), EXDEV);
	CHECK_ERR(linkat(AT_FDCWD, "one", AT_FDCWD, "x", 0x8), EINVAL);
	CHECK_ERR(linkat(-1, "one", AT_FDCWD, "x", 0), EBADF);

	CHECK_EQ(unlink("followed"), 0);
	CHECK_EQ(unlink("linklink"), 0);
	CHECK_ERR(stat("followed", &two), ENOENT);
	fd = MUST(open("one", O_RDWR));
	CHECK_EQ(unlink("one"), 0);
	MUST(fstat(fd, &two));
	CHECK_EQ(two.st_nlink, 1);
	CHECK_EQ(unlink("folder/two"), 0);
	MUST(fstat(fd, &two));
	CHECK_EQ(two.st_nlink, 0);
	CHECK_EQ(pwrite(fd, "more", 4, 4), 4);
	CHECK_EQ(pread(fd, text, 4, 2), 4);
	CHECK_STR(text, "xtmo");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	MUST(readlink(path, target, sizeof(target) - 1));
	CHECK(strstr(target, "/folder/two (deleted)") || strstr(target, "/one (deleted)"), "its link in /proc says that it is deleted");
	CHECK_OK(close(open(path, O_RDONLY)));
	MUST(close(fd));

	CHECK_ERR(unlink("missing"), ENOENT);
	CHECK_ERR(unlink(""), ENOENT);
	CHECK_ERR(unlink("folder"), EISDIR);
	CHECK_ERR(unlink("."), EISDIR);
	CHECK_ERR(unlink("folder/"), EISDIR);
	tst_file("plain", "");
	CHECK_ERR(unlink("plain/"), ENOTDIR);
	CHECK_ERR(unlink("plain/x"), ENOTDIR);
	CHECK_ERR(unlink(TST_BAD), EFAULT);
	CHECK_ERR(unlinkat(AT_FDCWD, "plain", AT_REMOVEDIR), ENOTDIR);
	CHECK_ERR(unlinkat(AT_FDCWD, "plain", 1), EINVAL);
	CHECK_ERR(unlinkat(-1, "plain", 0), EBADF);
	CHECK_EQ(unlinkat(AT_FDCWD, "folder", AT_REMOVEDIR), 0);
	CHECK_EQ(unlink("link"), 0);
	CHECK(access("plain", F_OK) == 0, "unlink of a symbolic link leaves other files alone");
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
