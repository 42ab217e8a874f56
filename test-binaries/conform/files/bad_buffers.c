/* Buffers of which only a part is mapped: reads and writes do the part, structures and strings give EFAULT. */
#include "../tst.h"

#include <sys/uio.h>

static void check(const char *dir)
{
	/* One page, then none. */
	char *page = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	char *end = page + TST_PAGE, text[64] = { 0 };
	struct iovec list[3];
	struct stat status;
	int fd, ends[2], folder;

	(void)dir;
	MUST(munmap(end, TST_PAGE));
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	memset(page, 'p', TST_PAGE);
	CHECK_EQ(write(fd, end - 10, 20), 10);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	CHECK_ERR(write(fd, end, 20), EFAULT);
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, 10);
	CHECK_EQ(pwrite(fd, "0123456789abcdef", 16, 0), 16);
	CHECK_EQ(pread(fd, end - 4, 16, 0), 4);
	CHECK(!memcmp(end - 4, "0123", 4), "as many bytes as there is room for");
	CHECK_ERR(pread(fd, end, 16, 0), EFAULT);
	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	CHECK_ERR(read(fd, end, 5), EFAULT);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_EQ(lseek(fd, 16, SEEK_SET), 16);
	CHECK_EQ(read(fd, end, 5), 0);

	list[0] = (struct iovec){ text, 5 };
	list[1] = (struct iovec){ end, 5 };
	list[2] = (struct iovec){ text + 5, 5 };
	CHECK_EQ(preadv(fd, list, 3, 0), 5);
	CHECK_STR(text, "01234");
	CHECK_EQ(pwritev(fd, list, 3, 20), 5);
	list[1].iov_len = 0;
	CHECK_EQ(preadv(fd, list, 3, 0), 10);
	CHECK_STR(text, "0123456789");
	CHECK_ERR(syscall(SYS_readv, fd, end - sizeof(list[0]), 2), EFAULT);

	MUST(pipe(ends));
	CHECK_ERR(write(ends[1], end, 5), EFAULT);
	CHECK_EQ(write(ends[1], "abcdef", 6), 6);
	CHECK_ERR(read(ends[0], end - 3, 6), EFAULT);
	memset(text, 0, sizeof(text));
	CHECK_EQ(read(ends[0], text, 6), 6);
	CHECK_STR(text, "abcdef");
	CHECK_ERR(write(ends[1], end - 3, 6), EFAULT);
	MUST(fcntl(ends[0], F_SETFL, O_NONBLOCK));
	CHECK_ERR(read(ends[0], text, 6), EAGAIN);

	CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "file", end - 8, 0), EFAULT);
	CHECK_ERR(syscall(SYS_fstat, fd, end - 8), EFAULT);
	CHECK_ERR(syscall(SYS_pipe2, end - 4, 0), EFAULT);
	CHECK_ERR(syscall(SYS_readlink, "/proc/self/exe", end, 10), EFAULT);
	memcpy(end - 4, "file", 4);
	CHECK_ERR(open(end - 4, O_RDONLY), EFAULT);
	memcpy(end - 5, "file", 5);
	CHECK_OK(close(open(end - 5, O_RDONLY)));
	folder = MUST(open(".", O_RDONLY | O_DIRECTORY));
	CHECK_ERR(syscall(SYS_getdents64, folder, end, 1000), EFAULT);
	CHECK(syscall(SYS_getdents64, folder, page, TST_PAGE) > 0, "the directory can be read all the same");
	CHECK_ERR(syscall(SYS_uname, end - 100), EFAULT);
	CHECK_ERR(syscall(SYS_getrandom, end, 1, 0), EFAULT);
	CHECK_EQ(syscall(SYS_getrandom, end - 5, 10, 0), 5);
	MUST(close(folder));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	MUST(close(fd));
	MUST(munmap(page, TST_PAGE));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
