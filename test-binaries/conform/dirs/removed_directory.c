/* A directory that was removed while it is open, and a file that another was renamed over: what still works. */
#include "../tst.h"

static void check(const char *dir)
{
	char text[16] = { 0 }, buffer[1024], target[128] = { 0 };
	struct stat status, other;
	int folder, fd, kept;

	(void)dir;
	MUST(mkdir("gone", 0755));
	folder = MUST(open("gone", O_RDONLY | O_DIRECTORY));
	MUST(chdir("gone"));
	CHECK_EQ(rmdir("../gone"), 0);
	CHECK_EQ(fstat(folder, &status), 0);
	CHECK_EQ(status.st_nlink, 0);
	CHECK_EQ(stat(".", &other), 0);
	CHECK(other.st_ino == status.st_ino, "it is the working directory still");
	CHECK_ERR(syscall(SYS_getdents64, folder, buffer, sizeof(buffer)), ENOENT);
	CHECK_ERR(openat(folder, "new", O_CREAT | O_WRONLY, 0600), ENOENT);
	CHECK_ERR(mkdirat(folder, "new", 0700), ENOENT);
	CHECK_ERR(symlinkat("x", folder, "new"), ENOENT);
	CHECK_ERR(linkat(AT_FDCWD, "../file", folder, "new", 0), ENOENT);
	CHECK_ERR(openat(folder, "old", O_RDONLY), ENOENT);
	CHECK_ERR(rmdir("."), EINVAL);
	CHECK_EQ(fchmod(folder, 0700), 0);
	CHECK_EQ(fchdir(folder), 0);
	CHECK_ERR(syscall(SYS_getcwd, buffer, sizeof(buffer)), ENOENT);
	MUST(readlink("/proc/self/cwd", target, sizeof(target) - 1));
	CHECK(strlen(target) > 15 && !strcmp(target + strlen(target) - 15, "/gone (deleted)"), "its link in /proc says so");
	CHECK_EQ(chdir(".."), 0);
	CHECK_ERR(access("gone", F_OK), ENOENT);
	CHECK_EQ(mkdir("gone", 0755), 0);
	CHECK_EQ(stat("gone", &other), 0);
	CHECK(fchdir(folder) == 0 && stat(".", &status) == 0 && status.st_nlink == 0, "a new one of that name is another");
	MUST(chdir(".."));
	MUST(close(folder));

	tst_file("target", "old");
	tst_file("source", "new");
	fd = MUST(open("target", O_RDWR));
	kept = MUST(open("source", O_RDONLY));
	CHECK_EQ(rename("source", "target"), 0);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_nlink, 0);
	CHECK_EQ(pread(fd, text, 3, 0), 3);
	CHECK_STR(text, "old");
	CHECK_EQ(pwrite(fd, "OLD!", 4, 0), 4);
	MUST(fstat(kept, &status));
	MUST(stat("target", &other));
	CHECK(status.st_ino == other.st_ino && status.st_nlink == 1, "the new name is the other file's");
	CHECK_EQ(pread(kept, text, 15, 0), 3);
	CHECK(!strncmp(text, "new", 3), "which nobody wrote to");
	CHECK_ERR(syscall(SYS_linkat, fd, "", AT_FDCWD, "again", 0x1000), ENOENT);
	MUST(close(fd));
	MUST(close(kept));

	/* A whole tree moves with what is open in it. */
	MUST(mkdir("a", 0755));
	MUST(mkdir("a/b", 0755));
	tst_file("a/b/file", "here");
	folder = MUST(open("a/b", O_RDONLY | O_DIRECTORY));
	CHECK_EQ(rename("a", "c"), 0);
	fd = MUST(openat(folder, "file", O_RDONLY));
	snprintf(buffer, sizeof(buffer), "/proc/self/fd/%d", fd);
	memset(target, 0, sizeof(target));
	MUST(readlink(buffer, target, sizeof(target) - 1));
	CHECK(strlen(target) > 9 && !strcmp(target + strlen(target) - 9, "/c/b/file"), "the path in /proc follows");
	CHECK_EQ(openat(folder, "../../c/b/missing", O_RDONLY), -1);
	CHECK_ERR(rename("c", "c/b/d"), EINVAL);
	CHECK_ERR(rename("c/b", "c"), ENOTEMPTY);
	CHECK_ERR(rmdir("c"), ENOTEMPTY);
	MUST(close(folder));
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
