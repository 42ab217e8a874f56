/* mkdir(2), mkdirat(2), rmdir(2): modes, link counts, and their errors. */
#include "../tst.h"

static nlink_t links(const char *path)
{
	struct stat status;

	MUST(stat(path, &status));
	return status.st_nlink;
}

static void check(const char *dir)
{
	struct stat status;
	int folder;

	(void)dir;
	umask(027);
	CHECK_EQ(mkdir("one", 0777), 0);
	MUST(stat("one", &status));
	CHECK_EQ(status.st_mode, S_IFDIR | 0750);
	CHECK_EQ(mkdir("sticky", 01777), 0);
	MUST(stat("sticky", &status));
	CHECK_EQ(status.st_mode, S_IFDIR | 01750);
	umask(022);
	CHECK_EQ(links("one"), 2);
	CHECK_EQ(mkdir("one/two", 0755), 0);
	CHECK_EQ(links("one"), 3);
	folder = MUST(open("one", O_RDONLY));
	CHECK_EQ(mkdirat(folder, "three", 0755), 0);
	CHECK_EQ(links("one"), 4);
	tst_file("file", "");
	MUST(symlink("nowhere", "dangling"));
	MUST(symlink("one", "link"));

	CHECK_ERR(mkdir("one", 0755), EEXIST);
	CHECK_ERR(mkdir("file", 0755), EEXIST);
	CHECK_ERR(mkdir("dangling", 0755), EEXIST);
	CHECK_ERR(mkdir("dangling/", 0755), EEXIST);
	CHECK_ERR(mkdir(".", 0755), EEXIST);
	CHECK_ERR(mkdir("/", 0755), EEXIST);
	CHECK_ERR(mkdir("missing/x", 0755), ENOENT);
	CHECK_ERR(mkdir("", 0755), ENOENT);
	CHECK_ERR(mkdir("file/x", 0755), ENOTDIR);
	CHECK_ERR(mkdir(TST_BAD, 0755), EFAULT);
	CHECK_ERR(mkdirat(-1, "x", 0755), EBADF);

	CHECK_ERR(rmdir("one"), ENOTEMPTY);
	CHECK_ERR(rmdir("one/two/."), EINVAL);
	CHECK_ERR(rmdir("one/two/.."), ENOTEMPTY);
	CHECK_ERR(rmdir("file"), ENOTDIR);
	CHECK_ERR(rmdir("link"), ENOTDIR);
	CHECK_ERR(rmdir("missing"), ENOENT);
	CHECK_ERR(rmdir("/"), EBUSY);
	CHECK_ERR(rmdir("/proc"), EBUSY);
	CHECK_ERR(rmdir(TST_BAD), EFAULT);
	CHECK_EQ(rmdir("one/two"), 0);
	CHECK_EQ(links("one"), 3);
	CHECK_EQ(rmdir("one/three/"), 0);
	CHECK_EQ(rmdir("one"), 0);
	CHECK_ERR(stat("one", &status), ENOENT);
	MUST(fstat(folder, &status));
	CHECK_EQ(status.st_nlink, 0);
	CHECK_ERR(mkdirat(folder, "late", 0755), ENOENT);
	MUST(close(folder));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
