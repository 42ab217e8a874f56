/* statfs(2), fstatfs(2), statvfs(3): numbers that make sense, types of known filesystems, and their errors. */
#include "../tst.h"

#include <sys/statvfs.h>
#include <sys/vfs.h>

static void check(const char *dir)
{
	struct statfs one, two;
	struct statvfs portable;
	int fd, ends[2];

	(void)dir;
	tst_file("file", "x");
	CHECK_EQ(statfs("file", &one), 0);
	CHECK(one.f_bsize >= 512 && one.f_frsize >= 512, "block sizes");
	CHECK(one.f_bfree <= one.f_blocks && one.f_bavail <= one.f_bfree, "free blocks are no more than there are");
	CHECK(one.f_ffree <= one.f_files, "nor are free inodes");
	CHECK_EQ(one.f_namelen, 255);
	fd = MUST(open("file", O_RDONLY));
	CHECK_EQ(fstatfs(fd, &two), 0);
	CHECK(one.f_type == two.f_type && one.f_blocks == two.f_blocks && one.f_bsize == two.f_bsize, "fstatfs says the same");
	CHECK_EQ(statvfs(".", &portable), 0);
	CHECK(portable.f_namemax == 255 && !(portable.f_flag & ST_RDONLY), "the filesystem is not read-only");
	CHECK_ERR(statfs("missing", &one), ENOENT);
	CHECK_ERR(statfs("file/x", &one), ENOTDIR);
	CHECK_ERR(syscall(SYS_statfs, "file", TST_BAD), EFAULT);
	CHECK_ERR(fstatfs(-1, &one), EBADF);
	MUST(pipe(ends));
	CHECK_EQ(fstatfs(ends[0], &one), 0);
	CHECK_EQ(one.f_type, 0x50495045);
	MUST(close(fd));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

int main(void)
{
	struct statfs status;

	tst_in_dirs(check);
	CHECK_EQ(statfs("/proc", &status), 0);
	CHECK_EQ(status.f_type, 0x9fa0);
	CHECK_EQ(statfs("/sys", &status), 0);
	CHECK_EQ(status.f_type, 0x62656572);
	CHECK_EQ(statfs("/dev/shm", &status), 0);
	CHECK_EQ(status.f_type, 0x01021994);
	CHECK_EQ(statfs("/", &status), 0);
	CHECK_EQ(status.f_type, 0xef53);
	return tst_done();
}
