/* getcwd(2), chdir(2), fchdir(2): through links and removed directories, small buffers; and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	char path[PATH_MAX], wanted[PATH_MAX], target[PATH_MAX] = { 0 };
	int folder, file;

	MUST(mkdir("folder", 0755));
	MUST(mkdir("folder/deep", 0755));
	MUST(symlink("folder/deep", "link"));
	tst_file("file", "");
	CHECK_EQ(chdir("folder"), 0);
	snprintf(wanted, sizeof(wanted), "%s/folder", dir);
	CHECK_STR(getcwd(path, sizeof(path)), wanted);
	CHECK_EQ(syscall(SYS_getcwd, path, sizeof(path)), (long)strlen(wanted) + 1);
	CHECK_EQ(syscall(SYS_getcwd, path, strlen(wanted) + 1), (long)strlen(wanted) + 1);
	CHECK_ERR(syscall(SYS_getcwd, path, strlen(wanted)), ERANGE);
	CHECK_ERR(syscall(SYS_getcwd, TST_BAD, 100), EFAULT);
	MUST(readlink("/proc/self/cwd", target, sizeof(target) - 1));
	CHECK_STR(target, wanted);
	CHECK_EQ(chdir("../link"), 0);
	strcat(wanted, "/deep");
	CHECK_STR(getcwd(path, sizeof(path)), wanted);
	folder = MUST(open("..", O_RDONLY));
	CHECK_EQ(fchdir(folder), 0);
	CHECK_EQ(access("deep", F_OK), 0);
	MUST(rename("../folder", "../moved"));
	snprintf(wanted, sizeof(wanted), "%s/moved", dir);
	CHECK_STR(getcwd(path, sizeof(path)), wanted);
	CHECK_EQ(chdir("deep"), 0);
	MUST(rmdir("../deep"));
	CHECK_ERR(syscall(SYS_getcwd, path, sizeof(path)), ENOENT);
	CHECK_ERR(open("x", O_WRONLY | O_CREAT, 0600), ENOENT);
	CHECK_EQ(access(".", F_OK), 0);
	CHECK_EQ(chdir(".."), 0);
	CHECK_EQ(chdir("/"), 0);
	CHECK_STR(getcwd(path, sizeof(path)), "/");
	MUST(chdir(dir));
	file = MUST(open("file", O_RDONLY));
	CHECK_ERR(chdir("missing"), ENOENT);
	CHECK_ERR(chdir("file"), ENOTDIR);
	CHECK_ERR(chdir(""), ENOENT);
	CHECK_ERR(chdir(TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_fchdir, file), ENOTDIR);
	CHECK_ERR(syscall(SYS_fchdir, -1), EBADF);
	MUST(close(file));
	MUST(close(folder));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
