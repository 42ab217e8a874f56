/* statx(2): the basic fields and the time of birth, agreement with fstat, and its errors. */
#include "../tst.h"

#include <sys/sysmacros.h>

/* As in include/uapi/linux/stat.h: not every C library has it. */
struct extended_time {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t spare;
};

struct extended {
	uint32_t mask, block_size;
	uint64_t attributes;
	uint32_t links, uid, gid;
	uint16_t mode, spare;
	uint64_t inode, size, blocks, attributes_mask;
	struct extended_time access, birth, change, modify;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t rest[14];
};

enum { BASIC = 0x7ff, BIRTH = 0x800 };

static long extended(int fd, const char *path, int flags, unsigned mask, struct extended *out)
{
	return syscall(SYS_statx, fd, path, flags, mask, out);
}

static void check(const char *dir)
{
	struct extended more;
	struct stat less;
	int fd;

	(void)dir;
	_Static_assert(sizeof(struct extended) == 256, "struct statx has 256 bytes");
	tst_file("file", "0123456789");
	MUST(symlink("file", "link"));
	fd = MUST(open("file", O_RDWR));
	MUST(fstat(fd, &less));
	memset(&more, 0xff, sizeof(more));
	CHECK_EQ(extended(AT_FDCWD, "file", 0, BASIC | BIRTH, &more), 0);
	CHECK_EQ(more.mask & BASIC, BASIC);
	CHECK(more.mode == less.st_mode && more.links == less.st_nlink && more.size == (uint64_t)less.st_size,
	      "mode, links and size are those of fstat");
	CHECK(more.uid == less.st_uid && more.gid == less.st_gid && more.inode == less.st_ino, "so are owner and inode");
	CHECK(more.blocks == (uint64_t)less.st_blocks && more.block_size == (uint32_t)less.st_blksize, "and blocks");
	CHECK(more.dev_major == major(less.st_dev) && more.dev_minor == minor(less.st_dev), "and the device");
	CHECK(more.modify.seconds == less.st_mtim.tv_sec && more.modify.nanoseconds == less.st_mtim.tv_nsec, "and times");
	CHECK(more.spare == 0 && more.access.spare == 0 && more.rest[13] == 0, "spare fields are zero");
	CHECK((more.mask & BIRTH) && more.birth.seconds <= more.modify.seconds && more.birth.seconds > 0, "time of birth");

	CHECK_EQ(extended(fd, "", AT_EMPTY_PATH, BASIC, &more), 0);
	CHECK_EQ(more.inode, less.st_ino);
	CHECK_EQ(extended(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, BASIC, &more), 0);
	CHECK(S_ISLNK(more.mode), "AT_SYMLINK_NOFOLLOW");
	CHECK_EQ(extended(AT_FDCWD, "/dev/null", 0, BASIC, &more), 0);
	CHECK(more.rdev_major == 1 && more.rdev_minor == 3, "device numbers of /dev/null");
	CHECK_EQ(extended(AT_FDCWD, "file", 0x2000, 0, &more), 0);
	CHECK_ERR(extended(AT_FDCWD, "missing", 0, BASIC, &more), ENOENT);
	CHECK_ERR(extended(AT_FDCWD, "", 0, BASIC, &more), ENOENT);
	CHECK_ERR(extended(-1, "file", 0, BASIC, &more), EBADF);
	CHECK_ERR(extended(AT_FDCWD, "file", 0x8, BASIC, &more), EINVAL);
	CHECK_ERR(extended(AT_FDCWD, "file", 0x6000, BASIC, &more), EINVAL);
	CHECK_ERR(extended(AT_FDCWD, "file", 0, 0x80000000, &more), EINVAL);
	CHECK_ERR(extended(AT_FDCWD, TST_BAD, 0, BASIC, &more), EFAULT);
	CHECK_ERR(extended(AT_FDCWD, "file", 0, BASIC, TST_BAD), EFAULT);
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
