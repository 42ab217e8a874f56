/* readv(2), writev(2), preadv(2), pwritev(2), preadv2(2): several buffers as one, and their errors. */
#include "../tst.h"

#include <sys/uio.h>

static void check(const char *dir)
{
	char one[4] = { 0 }, two[8] = { 0 }, three[8] = { 0 };
	struct iovec out[] = { { "ab", 2 }, { NULL, 0 }, { "cdef", 4 }, { "g", 1 } };
	struct iovec in[] = { { one, 3 }, { two, 2 }, { three, 8 } };
	struct iovec bad[] = { { one, 1 }, { TST_BAD, 1 } };
	struct iovec huge[] = { { one, 1 }, { two, -1L } };
	static struct iovec many[IOV_MAX + 1];
	int fd;

	(void)dir;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	CHECK_EQ(writev(fd, out, 4), 7);
	MUST(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(readv(fd, in, 3), 7);
	CHECK(!memcmp(one, "abc", 3) && !memcmp(two, "de", 2) && !memcmp(three, "fg", 2), "buffers are filled in turn");
	CHECK_EQ(readv(fd, in, 3), 0);
	CHECK_EQ(pwritev(fd, out, 4, 100), 7);
	CHECK_EQ(preadv(fd, in, 3, 101), 6);
	CHECK(!memcmp(one, "bcd", 3), "preadv reads at its offset");
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 7);
	CHECK_EQ(syscall(SYS_preadv2, fd, in, 3, -1L, 0L, 0), 13);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 20);
	CHECK_ERR(syscall(SYS_preadv2, fd, in, 3, 0L, 0L, 0x4000), EOPNOTSUPP);
	CHECK_EQ(readv(fd, in, 0), 0);
	CHECK_EQ(writev(fd, NULL, 0), 0);
	CHECK_ERR(readv(fd, in, TST_MINUS), EINVAL);
	CHECK_ERR(readv(fd, many, IOV_MAX + 1), EINVAL);
	CHECK_EQ(readv(fd, many, IOV_MAX), 0);
	CHECK_ERR(writev(fd, huge, 2), EINVAL);
	CHECK_ERR(readv(fd, TST_BAD, 1), EFAULT);
	CHECK_ERR(preadv(fd, in, 1, -1), EINVAL);
	MUST(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(readv(fd, bad, 2), 1);
	CHECK_ERR(readv(fd, bad + 1, 1), EFAULT);
	MUST(close(fd));
	CHECK_ERR(readv(fd, in, 1), EBADF);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
