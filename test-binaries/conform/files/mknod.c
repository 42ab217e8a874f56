/* mknod(2), mknodat(2), umask(2): regular files, FIFOs, devices, sockets; and their errors. */
#include "../tst.h"

#include <sys/sysmacros.h>

static void check(const char *dir)
{
	struct stat status;
	char byte = 1;
	int fd;

	(void)dir;
	if (geteuid())
		tst_conf("needs root");
	CHECK_EQ(umask(077), 022);
	CHECK_EQ(mknod("plain", 0666, 0), 0);
	MUST(stat("plain", &status));
	CHECK_EQ(status.st_mode, S_IFREG | 0600);
	CHECK_EQ(umask(0177777), 077);
	CHECK_EQ(umask(022), 0777);
	CHECK_EQ(mknod("file", S_IFREG | 0666, 0), 0);
	CHECK_EQ(mknod("fifo", S_IFIFO | 0666, 0), 0);
	MUST(stat("fifo", &status));
	CHECK_EQ(status.st_mode, S_IFIFO | 0644);
	CHECK_EQ(mknod("socket", S_IFSOCK | 0666, 0), 0);
	CHECK_ERR(open("socket", O_RDWR), ENXIO);
	CHECK_EQ(mknod("zero", S_IFCHR | 0600, makedev(1, 5)), 0);
	MUST(stat("zero", &status));
	CHECK(S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 5), "a device file has its numbers");
	fd = open("zero", O_RDONLY);
	CHECK(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 0, "and is the device");
	close(fd);
	CHECK_EQ(mknod("none", S_IFCHR | 0600, makedev(240, 77)), 0);
	CHECK_ERR(open("none", O_RDONLY), ENXIO);
	CHECK_ERR(mknod("file", S_IFREG | 0600, 0), EEXIST);
	CHECK_ERR(mknod("folder", S_IFDIR | 0700, 0), EPERM);
	CHECK_ERR(mknod("odd", S_IFLNK | 0700, 0), EINVAL);
	CHECK_ERR(mknod("missing/x", S_IFREG, 0), ENOENT);
	CHECK_ERR(mknod("file/x", S_IFREG, 0), ENOTDIR);
	CHECK_ERR(mknodat(-1, "x", S_IFREG, 0), EBADF);
}

int main(void)
{
	tst_in_dir("", check);
	return tst_done();
}
