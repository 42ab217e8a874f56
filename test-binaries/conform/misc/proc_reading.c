/* Files of /proc read in pieces, at offsets and again: the same text whatever the size of the buffer. */
#include "../tst.h"

static char whole[1 << 16], pieces[1 << 16];

static ssize_t in_pieces(const char *path, size_t step)
{
	int fd = MUST(open(path, O_RDONLY));
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, pieces + used, step)) > 0)
		used += got;
	close(fd);
	return got < 0 ? -1 : (ssize_t)used;
}

int main(void)
{
	static const char *const paths[] = { "/proc/self/cmdline", "/proc/self/auxv", "/proc/filesystems", "/proc/self/limits",
					     "/proc/version", "/proc/self/mountinfo" };
	struct stat status;
	char text[64];
	int fd;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		ssize_t size = tst_read_file(paths[i], whole, sizeof(whole));

		CHECK(size > 0, "%s has contents", paths[i]);
		CHECK(in_pieces(paths[i], 1) == size && !memcmp(whole, pieces, size), "%s byte by byte", paths[i]);
		CHECK(in_pieces(paths[i], 7) == size && !memcmp(whole, pieces, size), "%s seven by seven", paths[i]);
	}
	fd = MUST(open("/proc/version", O_RDONLY));
	CHECK_EQ(pread(fd, text, 7, 6), 7);
	CHECK(!memcmp(text, "version", 7), "pread at an offset");
	CHECK_EQ(lseek(fd, 6, SEEK_SET), 6);
	CHECK_EQ(read(fd, text, 7), 7);
	CHECK(!memcmp(text, "version", 7), "after lseek");
	MUST(fstat(fd, &status));
	CHECK(status.st_size == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0777) == 0444, "a regular file of size 0");
	CHECK_ERR(write(fd, "x", 1), EBADF);
	CHECK_ERR(read(fd, TST_BAD, 10), EFAULT);
	return tst_done();
}
