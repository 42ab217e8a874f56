/* openat(2): relative to a directory's descriptor, and that descriptor's errors. */
#include "../tst.h"

static void check(const char *dir)
{
	char path[PATH_MAX];
	int folder, file, fd;

	MUST(mkdir("folder", 0755));
	tst_file("folder/inside", "inside");
	folder = MUST(open("folder", O_RDONLY | O_DIRECTORY));
	file = MUST(openat(folder, "inside", O_RDONLY));
	tst_pass("a name in the directory");
	CHECK_OK(fd = openat(folder, "../folder/inside", O_RDONLY));
	MUST(close(fd));
	CHECK_OK(fd = openat(folder, ".", O_RDONLY));
	MUST(close(fd));
	snprintf(path, sizeof(path), "%s/folder/inside", dir);
	CHECK_OK(fd = openat(-1, path, O_RDONLY));
	MUST(close(fd));
	CHECK_OK(fd = openat(AT_FDCWD, "folder/inside", O_RDONLY));
	MUST(close(fd));
	CHECK_ERR(openat(-1, "inside", O_RDONLY), EBADF);
	CHECK_ERR(openat(999, "inside", O_RDONLY), EBADF);
	CHECK_ERR(openat(file, "inside", O_RDONLY), ENOTDIR);
	CHECK_ERR(openat(file, "", O_RDONLY), ENOENT);
	MUST(rename("folder", "renamed"));
	CHECK_OK(fd = openat(folder, "inside", O_RDONLY));
	MUST(close(fd));
	MUST(unlink("renamed/inside"));
	MUST(rmdir("renamed"));
	CHECK_ERR(openat(folder, "inside", O_RDONLY | O_CREAT, 0600), ENOENT);
	MUST(close(file));
	MUST(close(folder));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
