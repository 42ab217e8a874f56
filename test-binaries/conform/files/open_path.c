/* O_PATH: a descriptor that names a file and cannot read, write or change it. */
#include "../tst.h"

static void check(const char *dir)
{
	char target[64] = { 0 }, byte;
	struct stat status;
	int fd, link, folder;

	(void)dir;
	tst_file("file", "text");
	MUST(symlink("file", "link"));
	MUST(mkdir("folder", 0755));
	fd = MUST(open("file", O_PATH | O_RDWR));
	CHECK_ERR(read(fd, &byte, 1), EBADF);
	CHECK_ERR(write(fd, "x", 1), EBADF);
	CHECK_ERR(lseek(fd, 0, SEEK_SET), EBADF);
	CHECK_ERR(ftruncate(fd, 0), EBADF);
	CHECK_ERR(syscall(SYS_fchmod, fd, 0600), EBADF);
	CHECK_ERR(fsync(fd), EBADF);
	CHECK_ERR(mmap(NULL, TST_PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_size, 4);
	CHECK_EQ(fcntl(fd, F_GETFL) & ~O_LARGEFILE & ~0100000, O_PATH);
	CHECK_OK(close(fcntl(fd, F_DUPFD, 0)));
	CHECK_ERR(openat(fd, "x", O_RDONLY), ENOTDIR);

	link = MUST(open("link", O_PATH | O_NOFOLLOW));
	MUST(fstat(link, &status));
	CHECK(S_ISLNK(status.st_mode), "with O_NOFOLLOW it names the symbolic link itself");
	CHECK_EQ(readlinkat(link, "", target, sizeof(target) - 1), 4);
	CHECK_STR(target, "file");

	folder = MUST(open("folder", O_PATH));
	CHECK_OK(close(openat(folder, "inside", O_RDONLY | O_CREAT, 0600)));
	CHECK_EQ(fchdir(folder), 0);
	CHECK_EQ(access("inside", F_OK), 0);
	MUST(chdir(".."));
	MUST(close(fd));
	MUST(close(link));
	MUST(close(folder));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
