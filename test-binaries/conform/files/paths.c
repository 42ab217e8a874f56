/* How paths are walked: dots, slashes, the root's parent, files used as directories, names with any byte. */
#include "../tst.h"

static void check(const char *dir)
{
	struct stat one, two;
	char path[PATH_MAX];
	char name[2] = "x";
	int made = 0;

	MUST(mkdir("folder", 0755));
	tst_file("folder/file", "x");
	CHECK_EQ(access("folder//file", F_OK), 0);
	CHECK_EQ(access("./folder/./file", F_OK), 0);
	CHECK_EQ(access("folder/../folder/file", F_OK), 0);
	snprintf(path, sizeof(path), "//%s///folder////file", dir);
	CHECK(access(path, F_OK) == 0, "any number of slashes");
	snprintf(path, sizeof(path), "/../../..%s/folder/file", dir);
	CHECK(access(path, F_OK) == 0, "the root's parent is the root");
	MUST(stat("/", &one));
	MUST(stat("/..", &two));
	CHECK(one.st_ino == two.st_ino && one.st_dev == two.st_dev, "/.. is /");
	CHECK_ERR(access("folder/file/..", F_OK), ENOTDIR);
	CHECK_ERR(access("folder/file/.", F_OK), ENOTDIR);
	CHECK_ERR(access("missing/..", F_OK), ENOENT);
	CHECK_ERR(mkdir("folder/file/x", 0755), ENOTDIR);
	CHECK_EQ(mkdir("trailing/", 0755), 0);
	CHECK_EQ(rmdir("trailing/"), 0);

	MUST(chdir("folder"));
	for (int byte = 1; byte < 256; byte++) {
		if (byte == '/' || byte == '.')
			continue;
		name[0] = byte;
		int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		made += fd >= 0;
		close(fd);
	}
	CHECK(made == 253, "names of any byte but slash and zero");
	CHECK_EQ(access("\xff", F_OK), 0);
	CHECK_EQ(access("\n", F_OK), 0);
	CHECK_ERR(access("X/", F_OK), ENOTDIR);
	CHECK(access("X", F_OK) == 0 && access("x", F_OK) == 0, "case matters");
	MUST(unlink("x"));
	CHECK_EQ(access("X", F_OK), 0);
	MUST(chdir(".."));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
