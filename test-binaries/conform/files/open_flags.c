/* open(2): creation and its mode, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW, and the errnos of bad paths. */
#include "../tst.h"

static void check(const char *dir)
{
	struct stat status;
	char longname[NAME_MAX + 2], *longpath = malloc(PATH_MAX + 10);
	int fd;

	(void)dir;
	umask(027);
	fd = MUST(open("new", O_RDWR | O_CREAT, 06777));
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_mode, S_IFREG | 06750);
	CHECK_EQ(status.st_size, 0);
	CHECK_EQ(status.st_nlink, 1);
	MUST(write(fd, "12345", 5));
	MUST(close(fd));
	umask(022);
	CHECK_ERR(open("new", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	fd = MUST(open("new", O_RDONLY | O_CREAT, 0600));
	MUST(fstat(fd, &status));
	CHECK(status.st_mode == (S_IFREG | 06750) && status.st_size == 5, "O_CREAT changes nothing of a file that is there");
	MUST(close(fd));
	fd = MUST(open("new", O_WRONLY | O_TRUNC));
	MUST(fstat(fd, &status));
	CHECK_EQ(status.st_size, 0);
	MUST(close(fd));
	fd = MUST(open("readonly", O_RDWR | O_CREAT, 0));
	CHECK(write(fd, "x", 1) == 1, "mode 0 does not affect the descriptor that created the file");
	MUST(close(fd));

	MUST(mkdir("folder", 0755));
	MUST(symlink("new", "link"));
	MUST(symlink("folder", "folderlink"));
	MUST(symlink("nowhere", "dangling"));
	MUST(symlink("loop", "loop"));
	CHECK_ERR(open("missing", O_RDONLY), ENOENT);
	CHECK_ERR(open("", O_RDONLY), ENOENT);
	CHECK_ERR(open("missing/file", O_RDONLY | O_CREAT, 0600), ENOENT);
	CHECK_ERR(open("new/file", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("new/", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("newer/", O_RDONLY | O_CREAT, 0600), EISDIR);
	CHECK_ERR(open("folder", O_WRONLY), EISDIR);
	CHECK_ERR(open("folder", O_RDWR), EISDIR);
	CHECK_ERR(open("folder", O_RDONLY | O_CREAT, 0600), EISDIR);
	CHECK_ERR(open("new", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_OK(open("folder", O_RDONLY | O_DIRECTORY));
	CHECK_ERR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_OK(open("link", O_RDONLY));
	CHECK_ERR(open("folderlink", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERR(open("folderlink", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ENOTDIR);
	CHECK_OK(open("folderlink/", O_RDONLY | O_NOFOLLOW));
	CHECK_ERR(open("loop", O_RDONLY), ELOOP);
	CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
	CHECK_ERR(open("dangling", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_ERR(open("link", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_OK(open("dangling", O_RDONLY | O_CREAT, 0600));
	CHECK(stat("nowhere", &status) == 0, "O_CREAT creates what a dangling link points to");

	memset(longname, 'n', sizeof(longname) - 1);
	longname[NAME_MAX + 1] = 0;
	CHECK_ERR(open(longname, O_RDONLY | O_CREAT, 0600), ENAMETOOLONG);
	longname[NAME_MAX] = 0;
	CHECK_OK(open(longname, O_RDONLY | O_CREAT, 0600));
	for (int i = 0; i < PATH_MAX; i += 2)
		memcpy(longpath + i, "./", 3);
	CHECK_ERR(open(longpath, O_RDONLY), ENAMETOOLONG);
	longpath[PATH_MAX - 1] = 0;
	CHECK_OK(open(longpath, O_RDONLY));
	CHECK_ERR(open(TST_BAD, O_RDONLY), EFAULT);
	free(longpath);
	for (fd = 3; fd < 20; fd++)
		close(fd);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
