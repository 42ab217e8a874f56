/* stat(2), lstat(2), fstat(2), newfstatat(2): what they say of each kind of file, and their errors. */
#include "../tst.h"

#include <sys/sysmacros.h>

static void check(const char *dir)
{
	struct stat one, two;
	int fd, ends[2];

	(void)dir;
	tst_file("file", "0123456789");
	MUST(mkdir("folder", 0750));
	MUST(symlink("file", "link"));
	MUST(symlink("nowhere", "dangling"));
	MUST(mkfifo("fifo", 0600));
	CHECK_EQ(stat("file", &one), 0);
	CHECK_EQ(one.st_mode, S_IFREG | 0644);
	CHECK_EQ(one.st_size, 10);
	CHECK_EQ(one.st_nlink, 1);
	CHECK(one.st_uid == geteuid() && one.st_gid == getegid(), "it belongs to who made it");
	CHECK(one.st_blksize >= 512 && one.st_blocks >= 1, "block size and blocks");
	CHECK(one.st_ino != 0 && one.st_dev != 0, "it has an inode and a device");
	CHECK(llabs((long long)one.st_mtime - time(NULL)) < 100 && one.st_mtime == one.st_ctime, "its times are those of its making");

	fd = MUST(open("file", O_RDONLY));
	CHECK_EQ(fstat(fd, &two), 0);
	CHECK(!memcmp(&one, &two, offsetof(struct stat, st_atim)), "fstat says the same");
	CHECK_EQ(stat("link", &two), 0);
	CHECK_EQ(two.st_ino, one.st_ino);
	CHECK_EQ(lstat("link", &two), 0);
	CHECK(S_ISLNK(two.st_mode) && two.st_size == 4 && two.st_ino != one.st_ino, "lstat says what the link is");
	CHECK_EQ(two.st_mode, S_IFLNK | 0777);
	CHECK_EQ(fstatat(AT_FDCWD, "link", &two, AT_SYMLINK_NOFOLLOW), 0);
	CHECK(S_ISLNK(two.st_mode), "as does AT_SYMLINK_NOFOLLOW");
	CHECK_EQ(fstatat(fd, "", &two, AT_EMPTY_PATH), 0);
	CHECK_EQ(two.st_ino, one.st_ino);
	CHECK_EQ(fstatat(AT_FDCWD, "", &two, AT_EMPTY_PATH), 0);
	CHECK(S_ISDIR(two.st_mode), "AT_FDCWD with AT_EMPTY_PATH is the working directory");
	CHECK_EQ(stat("folder", &two), 0);
	CHECK_EQ(two.st_mode, S_IFDIR | 0750);
	CHECK_EQ(two.st_nlink, 2);
	CHECK(two.st_dev == one.st_dev, "same filesystem, same device");
	CHECK_EQ(stat("fifo", &two), 0);
	CHECK_EQ(two.st_mode, S_IFIFO | 0600);
	CHECK_EQ(stat("folder/..", &one), 0);
	CHECK_EQ(stat(".", &two), 0);
	CHECK_EQ(one.st_ino, two.st_ino);
	MUST(pipe(ends));
	CHECK_EQ(fstat(ends[0], &two), 0);
	CHECK_EQ(two.st_mode, S_IFIFO | 0600);
	CHECK_EQ(stat("/dev/null", &two), 0);
	CHECK(S_ISCHR(two.st_mode) && two.st_rdev == makedev(1, 3), "/dev/null is character device 1:3");

	CHECK_ERR(stat("missing", &one), ENOENT);
	CHECK_ERR(stat("", &one), ENOENT);
	CHECK_ERR(stat("dangling", &one), ENOENT);
	CHECK_OK(lstat("dangling", &one));
	CHECK_ERR(stat("file/", &one), ENOTDIR);
	CHECK_ERR(stat("file/x", &one), ENOTDIR);
	CHECK_ERR(stat("link/", &one), ENOTDIR);
	CHECK_OK(stat("folder/", &one));
	CHECK_ERR(fstat(-1, &one), EBADF);
	CHECK_ERR(fstatat(-1, "file", &one, 0), EBADF);
	CHECK_ERR(fstatat(fd, "file", &one, 0), ENOTDIR);
	CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "file", &one, 0x8), EINVAL);
	CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, TST_BAD, &one, 0), EFAULT);
	CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "file", TST_BAD, 0), EFAULT);
	MUST(close(fd));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
