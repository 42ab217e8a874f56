/* O_TMPFILE: a file without a name, which linkat(2) may give one. */
#include "../tst.h"

static void check(const char *dir)
{
	struct stat status;
	char path[64], text[16] = { 0 };
	int fd = MUST(open(".", O_TMPFILE | O_RDWR, 0640));

	(void)dir;
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_nlink, 0);
	CHECK_EQ(status.st_mode, S_IFREG | 0640);
	CHECK_EQ(write(fd, "nameless", 8), 8);
	CHECK_EQ(pread(fd, text, 15, 0), 8);
	CHECK_STR(text, "nameless");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_nlink, 1);
	MUST(close(fd));
	CHECK_EQ(tst_read_file("named", text, sizeof(text)), 8);
	CHECK_STR(text, "nameless");

	fd = MUST(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_ERR(linkat(AT_FDCWD, path, AT_FDCWD, "other", AT_SYMLINK_FOLLOW), ENOENT);
	MUST(close(fd));
	CHECK_ERR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	CHECK_ERR(open("named", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
	CHECK_ERR(open("missing", O_TMPFILE | O_RDWR, 0600), ENOENT);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
