/* fsync(2), fdatasync(2), sync_file_range(2), syncfs(2), sync(2): on files and directories; and their errors. */
#include "../tst.h"

static void check(const char *dir)
{
	int fd, folder, ends[2];

	(void)dir;
	tst_file("file", "text");
	fd = MUST(open("file", O_RDWR));
	MUST(write(fd, "more", 4));
	CHECK_EQ(fsync(fd), 0);
	CHECK_EQ(fdatasync(fd), 0);
	CHECK_EQ(syscall(SYS_sync_file_range, fd, 0L, 100L, 7), 0);
	CHECK_ERR(syscall(SYS_sync_file_range, fd, 0L, 100L, 8), EINVAL);
	CHECK_ERR(syscall(SYS_sync_file_range, fd, -1L, 100L, 0), EINVAL);
	folder = MUST(open(".", O_RDONLY));
	CHECK_EQ(fsync(folder), 0);
	CHECK_EQ(fdatasync(folder), 0);
	CHECK_EQ(syscall(SYS_syncfs, folder), 0);
	MUST(pipe(ends));
	CHECK_ERR(fsync(ends[1]), EINVAL);
	CHECK_ERR(fdatasync(ends[0]), EINVAL);
	CHECK_ERR(syscall(SYS_sync_file_range, ends[1], 0L, 0L, 0), ESPIPE);
	CHECK_ERR(fsync(-1), EBADF);
	CHECK_ERR(syscall(SYS_syncfs, -1), EBADF);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	MUST(close(folder));
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
