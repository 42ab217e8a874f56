/* access(2), faccessat(2), faccessat2(2): modes as root and not, real and effective ids, and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	int fd;

	(void)dir;
	if (geteuid())
		tst_conf("needs root");
	tst_file("none", "");
	MUST(chmod("none", 0));
	tst_file("read", "");
	MUST(chmod("read", 0444));
	tst_file("run", "");
	MUST(chmod("run", 0711));
	MUST(mkdir("closed", 0700));
	tst_file("closed/file", "");
	MUST(symlink("nowhere", "dangling"));

	CHECK_EQ(access("none", F_OK), 0);
	CHECK_EQ(access("none", R_OK | W_OK), 0);
	CHECK_ERR(access("none", X_OK), EACCES);
	CHECK_EQ(access("run", X_OK), 0);
	CHECK_EQ(access("closed", R_OK | W_OK | X_OK), 0);
	CHECK_ERR(access("missing", F_OK), ENOENT);
	CHECK_ERR(access("dangling", F_OK), ENOENT);
	CHECK_ERR(access("read/x", F_OK), ENOTDIR);
	CHECK_ERR(access("read", 8), EINVAL);
	CHECK_ERR(access(TST_BAD, F_OK), EFAULT);
	fd = MUST(open("read", O_RDONLY));
	CHECK_ERR(faccessat(fd, "x", F_OK, 0), ENOTDIR);
	CHECK_ERR(faccessat(-1, "x", F_OK, 0), EBADF);
	CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_EQ(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH), 0);
	CHECK_ERR(syscall(SYS_faccessat2, AT_FDCWD, "read", F_OK, 1), EINVAL);
	MUST(close(fd));

	/* Effective id of nobody, real id of root. */
	MUST(setegid(65534));
	MUST(seteuid(65534));
	CHECK(access("none", R_OK) == 0, "access goes by the real ids");
	CHECK_ERR(syscall(SYS_faccessat2, AT_FDCWD, "none", R_OK, AT_EACCESS), EACCES);
	CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "read", R_OK, AT_EACCESS), 0);
	CHECK_ERR(syscall(SYS_faccessat2, AT_FDCWD, "read", W_OK, AT_EACCESS), EACCES);
	CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "run", X_OK, AT_EACCESS), 0);
	CHECK_ERR(syscall(SYS_faccessat2, AT_FDCWD, "closed/file", F_OK, AT_EACCESS), EACCES);
	CHECK_ERR(open("none", O_RDONLY), EACCES);
	CHECK_ERR(open("read", O_WRONLY), EACCES);
	CHECK_ERR(open("closed/file", O_RDONLY), EACCES);
	CHECK_ERR(open("mine", O_WRONLY | O_CREAT, 0600), EACCES);
	CHECK_ERR(unlink("read"), EACCES);
	CHECK_ERR(mkdir("mine", 0700), EACCES);
	CHECK_ERR(chdir("closed"), EACCES);
	CHECK_ERR(chmod("read", 0777), EPERM);
	CHECK_ERR(truncate("read", 0), EACCES);
	MUST(seteuid(0));
	MUST(setegid(0));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
