/* chmod(2), fchmod(2), chown(2), fchown(2), lchown(2), fchownat(2): what changes, what is cleared, and their errors. */
#include "../tst.h"

static struct stat of(const char *path)
{
	struct stat status;

	MUST(lstat(path, &status));
	return status;
}

static void check(const char *dir)
{
	int fd;

	(void)dir;
	if (geteuid())
		tst_conf("needs root");
	tst_file("file", "x");
	MUST(mkdir("folder", 0755));
	MUST(symlink("file", "link"));
	fd = MUST(open("file", O_RDWR));
	CHECK_EQ(chmod("file", 07654), 0);
	CHECK_EQ(of("file").st_mode, S_IFREG | 07654);
	CHECK_EQ(fchmod(fd, 0600), 0);
	CHECK_EQ(of("file").st_mode, S_IFREG | 0600);
	CHECK_EQ(chmod("link", 0640), 0);
	CHECK_EQ(of("file").st_mode, S_IFREG | 0640);
	CHECK_EQ(chmod("folder", 01777), 0);
	CHECK_EQ(of("folder").st_mode, S_IFDIR | 01777);
	CHECK_EQ(fchmodat(AT_FDCWD, "file", 0177777, 0), 0);
	CHECK_EQ(of("file").st_mode, S_IFREG | 07777);

	CHECK_EQ(chown("file", 100, 200), 0);
	CHECK(of("file").st_uid == 100 && of("file").st_gid == 200, "owner and group are set");
	CHECK_EQ(of("file").st_mode, S_IFREG | 01777);
	CHECK_EQ(chown("file", -1, 300), 0);
	CHECK(of("file").st_uid == 100 && of("file").st_gid == 300, "-1 leaves one as it is");
	CHECK_EQ(fchown(fd, 101, -1), 0);
	CHECK(of("file").st_uid == 101 && of("file").st_gid == 300, "fchown");
	CHECK_EQ(lchown("link", 7, 8), 0);
	CHECK(of("link").st_uid == 7 && of("file").st_uid == 101, "lchown changes the link itself");
	CHECK_EQ(fchownat(fd, "", 55, 56, AT_EMPTY_PATH), 0);
	CHECK_EQ(of("file").st_uid, 55);
	MUST(chmod("folder", 06755));
	MUST(chown("folder", 1, 1));
	CHECK(of("folder").st_mode == (S_IFDIR | 06755), "a directory keeps its set-id bits");

	MUST(chown("folder", 0, 4321));
	MUST(chmod("folder", 02755));
	tst_file("folder/inside", "");
	CHECK(of("folder/inside").st_gid == 4321, "in a set-group-id directory files get its group");
	MUST(mkdir("folder/deeper", 0755));
	CHECK(of("folder/deeper").st_mode == (S_IFDIR | 02755), "and directories its set-group-id bit");

	CHECK_ERR(chmod("missing", 0600), ENOENT);
	CHECK_ERR(chmod("file/x", 0600), ENOTDIR);
	CHECK_ERR(chmod(TST_BAD, 0600), EFAULT);
	CHECK_ERR(fchmod(-1, 0600), EBADF);
	CHECK_ERR(chown("missing", 0, 0), ENOENT);
	CHECK_ERR(fchown(-1, 0, 0), EBADF);
	CHECK_ERR(fchownat(AT_FDCWD, "file", 0, 0, 0x8), EINVAL);
	MUST(chown("file", 1234, 1234));
	MUST(chmod("file", 06777));
	MUST(seteuid(1234));
	CHECK_EQ(chmod("file", 0666), 0);
	CHECK_ERR(chown("file", 0, -1), EPERM);
	CHECK_ERR(chmod("folder", 0777), EPERM);
	MUST(seteuid(0));
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
