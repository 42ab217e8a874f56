/* utimensat(2), futimens(3), and which calls move which times. */
#include "../tst.h"

static struct stat of(const char *path)
{
	struct stat status;

	MUST(lstat(path, &status));
	return status;
}

static int is(struct timespec time, time_t seconds, long nanoseconds)
{
	return time.tv_sec == seconds && time.tv_nsec == nanoseconds;
}

static int now(struct timespec when)
{
	return llabs((long long)when.tv_sec - time(NULL)) < 100;
}

static void check(const char *dir)
{
	const struct timespec old[2] = { { 1000, 123456789 }, { 2000, 987654321 } };
	const struct timespec omit[2] = { { 0, UTIME_OMIT }, { 3000, 5 } };
	const struct timespec mixed[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	const struct timespec bad[2] = { { 0, 1000000000 }, { 0, 0 } };
	const struct timespec future[2] = { { 1L << 32, 0 }, { 1L << 32, 1 } };
	struct stat status;
	char byte;
	int fd;

	(void)dir;
	tst_file("file", "x");
	MUST(mkdir("folder", 0755));
	MUST(symlink("file", "link"));
	CHECK_EQ(utimensat(AT_FDCWD, "file", old, 0), 0);
	status = of("file");
	CHECK(is(status.st_atim, 1000, 123456789) && is(status.st_mtim, 2000, 987654321), "both times to the nanosecond");
	CHECK(now(status.st_ctim), "the time of change is now");
	CHECK_EQ(utimensat(AT_FDCWD, "file", omit, 0), 0);
	status = of("file");
	CHECK(is(status.st_atim, 1000, 123456789) && is(status.st_mtim, 3000, 5), "UTIME_OMIT leaves one");
	CHECK_EQ(utimensat(AT_FDCWD, "file", mixed, 0), 0);
	status = of("file");
	CHECK(now(status.st_atim) && is(status.st_mtim, 3000, 5), "UTIME_NOW is now");
	CHECK_EQ(utimensat(AT_FDCWD, "link", old, AT_SYMLINK_NOFOLLOW), 0);
	CHECK(is(of("link").st_mtim, 2000, 987654321) && is(of("file").st_mtim, 3000, 5), "the link itself");
	CHECK_EQ(utimensat(AT_FDCWD, "file", future, 0), 0);
	CHECK(is(of("file").st_mtim, 1L << 32, 1), "a time after 2106");
	fd = MUST(open("file", O_RDWR));
	CHECK_EQ(futimens(fd, NULL), 0);
	CHECK(now(of("file").st_mtim), "no times means now");

	MUST(futimens(fd, old));
	MUST(write(fd, "yz", 2));
	status = of("file");
	CHECK(now(status.st_mtim) && is(status.st_atim, 1000, 123456789), "write moves the time of modification");
	MUST(futimens(fd, old));
	CHECK_EQ(pread(fd, &byte, 1, 0), 1);
	status = of("file");
	CHECK(now(status.st_atim) && is(status.st_mtim, 2000, 987654321), "read moves an older time of access (relatime)");
	MUST(futimens(fd, old));
	MUST(chmod("file", 0600));
	status = of("file");
	CHECK(is(status.st_mtim, 2000, 987654321) && is(status.st_atim, 1000, 123456789), "chmod moves neither");
	MUST(futimens(fd, old));
	MUST(ftruncate(fd, 1));
	CHECK(now(of("file").st_mtim), "ftruncate moves the time of modification");
	MUST(utimensat(AT_FDCWD, "folder", old, 0));
	tst_file("folder/new", "");
	CHECK(now(of("folder").st_mtim), "a new entry moves its directory's");
	MUST(utimensat(AT_FDCWD, "folder", old, 0));
	tst_file("folder/new", "again");
	CHECK(is(of("folder").st_mtim, 2000, 987654321), "writing an old entry does not");
	MUST(unlink("folder/new"));
	CHECK(now(of("folder").st_mtim), "removing one does");

	CHECK_ERR(utimensat(AT_FDCWD, "file", bad, 0), EINVAL);
	CHECK_ERR(utimensat(AT_FDCWD, "missing", old, 0), ENOENT);
	CHECK_ERR(utimensat(AT_FDCWD, "file", old, 0x8), EINVAL);
	CHECK_ERR(utimensat(-1, "file", old, 0), EBADF);
	CHECK_ERR(syscall(SYS_utimensat, AT_FDCWD, "file", TST_BAD, 0), EFAULT);
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
