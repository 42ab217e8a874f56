/* The calls of x86-64 that newer ones have replaced, by their own numbers: static programs still use them. */
#include "../tst.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <utime.h>

static void check(const char *dir)
{
	const struct utimbuf times = { 1000, 2000 };
	const struct timeval exact[2] = { { 3000, 5 }, { 4000, 6 } };
	struct timeval none = { 0, 0 };
	struct stat status;
	struct rlimit limit;
	char text[4096];
	int fd, ends[2];

	(void)dir;
	CHECK_OK(fd = syscall(SYS_creat, "file", 0644));
	CHECK_EQ(write(fd, "text", 4), 4);
	CHECK_ERR(read(fd, text, 1), EBADF);
	CHECK_EQ(syscall(SYS_dup2, fd, 50), 50);
	MUST(close(fd));
	MUST(close(50));
	CHECK_OK(fd = syscall(SYS_open, "file", O_RDONLY, 0));
	MUST(close(fd));
	CHECK_EQ(syscall(SYS_stat, "file", &status), 0);
	CHECK_EQ(status.st_size, 4);
	CHECK_EQ(syscall(SYS_mkdir, "folder", 0755), 0);
	CHECK_EQ(syscall(SYS_link, "file", "folder/two"), 0);
	CHECK_EQ(syscall(SYS_symlink, "file", "link"), 0);
	CHECK_EQ(syscall(SYS_lstat, "link", &status), 0);
	CHECK(S_ISLNK(status.st_mode), "lstat does not follow");
	CHECK_EQ(syscall(SYS_readlink, "link", text, 100), 4);
	CHECK_EQ(syscall(SYS_access, "file", R_OK), 0);
	CHECK_EQ(syscall(SYS_chmod, "file", 0600), 0);
	CHECK_EQ(syscall(SYS_chown, "file", -1, -1), 0);
	CHECK_EQ(syscall(SYS_lchown, "link", -1, -1), 0);
	CHECK_EQ(syscall(SYS_utime, "file", &times), 0);
	MUST(stat("file", &status));
	CHECK(status.st_atime == 1000 && status.st_mtime == 2000, "utime sets seconds");
	CHECK_EQ(syscall(SYS_utimes, "file", exact), 0);
	MUST(stat("file", &status));
	CHECK(status.st_mtim.tv_sec == 4000 && status.st_mtim.tv_nsec == 6000, "utimes sets microseconds");
	CHECK_EQ(syscall(SYS_rename, "file", "renamed"), 0);
	CHECK_EQ(syscall(SYS_mknod, "fifo", S_IFIFO | 0600, 0), 0);
	fd = MUST(open("folder", O_RDONLY));
	CHECK(syscall(SYS_getdents, fd, text, sizeof(text)) >= 3 * 24, "getdents gives three entries");
	CHECK_EQ(syscall(SYS_getdents, fd, text, sizeof(text)), 0);
	MUST(close(fd));
	CHECK_EQ(syscall(SYS_unlink, "folder/two"), 0);
	CHECK_EQ(syscall(SYS_rmdir, "folder"), 0);
	CHECK_EQ(syscall(SYS_pipe, ends), 0);
	CHECK_EQ(syscall(SYS_poll, &(struct pollfd){ ends[1], POLLOUT, 0 }, 1, 0), 1);
	CHECK_EQ(syscall(SYS_select, 0, NULL, NULL, NULL, &none), 0);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	CHECK_EQ(syscall(SYS_getrlimit, RLIMIT_STACK, &limit), 0);
	CHECK_EQ(syscall(SYS_setrlimit, RLIMIT_STACK, &limit), 0);
	CHECK(syscall(SYS_getpgrp) == getpgid(0), "getpgrp");
	CHECK_EQ(syscall(SYS_alarm, 0), 0);
	CHECK(syscall(SYS_time, NULL) > 1700000000, "time");
	CHECK_EQ(syscall(SYS_sync), 0);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
