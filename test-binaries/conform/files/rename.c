/* rename(2), renameat2(2): files and directories over each other, RENAME_NOREPLACE, RENAME_EXCHANGE; and their errors. */
#include "../tst.h"

enum { NOREPLACE = 1, EXCHANGE = 2 };

static long rename2(const char *from, const char *to, int flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static ino_t inode(const char *path)
{
	struct stat status;

	return lstat(path, &status) ? 0 : status.st_ino;
}

static void check(const char *dir)
{
	char text[16];
	ino_t one, two;
	struct stat status;
	int fd;

	(void)dir;
	tst_file("one", "one");
	tst_file("two", "two");
	one = inode("one");
	CHECK_EQ(rename("one", "three"), 0);
	CHECK(!inode("one") && inode("three") == one, "a new name for the same file");
	fd = MUST(open("two", O_RDONLY));
	CHECK_EQ(rename("three", "two"), 0);
	CHECK(inode("two") == one && !inode("three"), "over another file");
	CHECK_EQ(read(fd, text, 16), 3);
	CHECK(!memcmp(text, "two", 3), "which who has it open still reads");
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_nlink, 0);
	MUST(close(fd));
	MUST(link("two", "same"));
	CHECK_EQ(rename("two", "same"), 0);
	CHECK(inode("two") == one && inode("same") == one, "two names of one file: nothing happens");
	CHECK_EQ(rename("two", "two"), 0);

	MUST(mkdir("folder", 0755));
	MUST(mkdir("empty", 0755));
	MUST(mkdir("full", 0755));
	tst_file("full/file", "x");
	two = inode("folder");
	CHECK_EQ(rename("folder", "empty"), 0);
	CHECK(inode("empty") == two && !inode("folder"), "a directory over an empty one");
	CHECK_EQ(rename("empty", "full/inner"), 0);
	MUST(stat("full", &status));
	CHECK_EQ(status.st_nlink, 3);
	MUST(stat("full/inner/..", &status));
	CHECK(status.st_ino == inode("full"), "a moved directory's .. is its new parent");
	CHECK_ERR(rename("full", "full/inner/deeper"), EINVAL);
	MUST(mkdir("other", 0755));
	CHECK_ERR(rename("other", "full"), ENOTEMPTY);
	CHECK_ERR(rename("two", "other"), EISDIR);
	CHECK_ERR(rename("other", "two"), ENOTDIR);
	CHECK_ERR(rename("missing", "x"), ENOENT);
	CHECK_ERR(rename("two", "missing/x"), ENOENT);
	CHECK_ERR(rename("two", "same/x"), ENOTDIR);
	CHECK_ERR(rename("two/", "x"), ENOTDIR);
	CHECK_ERR(rename("two", "x/"), ENOTDIR);
	CHECK_ERR(rename("", "x"), ENOENT);
	CHECK_ERR(rename(".", "x"), EBUSY);
	CHECK_ERR(rename("other", "full/.."), EBUSY);
	CHECK_ERR(rename("two", "/proc/x"), EXDEV);
	CHECK_ERR(rename(TST_BAD, "x"), EFAULT);
	CHECK_EQ(rename("other/", "moved/"), 0);

	MUST(symlink("two", "link"));
	CHECK_EQ(rename("link", "link2"), 0);
	MUST(lstat("link2", &status));
	CHECK(S_ISLNK(status.st_mode), "a symbolic link itself is renamed");

	tst_file("a", "content a");
	tst_file("b", "content b");
	CHECK_ERR(rename2("a", "b", NOREPLACE), EEXIST);
	CHECK_EQ(rename2("a", "c", NOREPLACE), 0);
	CHECK_EQ(rename2("c", "b", EXCHANGE), 0);
	CHECK_EQ(tst_read_file("b", text, sizeof(text)), 9);
	CHECK_STR(text, "content a");
	CHECK_EQ(rename2("b", "full", EXCHANGE), 0);
	MUST(stat("b", &status));
	CHECK(S_ISDIR(status.st_mode), "a file and a directory can change places");
	CHECK_ERR(rename2("b", "missing", EXCHANGE), ENOENT);
	CHECK_ERR(rename2("b", "full", EXCHANGE | NOREPLACE), EINVAL);
	CHECK_ERR(rename2("b", "full", 64), EINVAL);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
