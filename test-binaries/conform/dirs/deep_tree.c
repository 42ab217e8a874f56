/* 200 directories inside each other: a path longer than PATH_MAX by steps, its getcwd, its removal. */
#include "../tst.h"

static void check(const char *dir)
{
	const char *name = "a-directory-name-of-thirty-one-b";
	char path[PATH_MAX];
	int depth = 0, removed = 0;

	for (; depth < 200; depth++)
		if (mkdir(name, 0755) || chdir(name))
			break;
	CHECK_EQ(depth, 200);
	CHECK_ERR(syscall(SYS_getcwd, path, sizeof(path)), ENAMETOOLONG);
	tst_file("file", "bottom");
	CHECK_EQ(access("../../../.", F_OK), 0);
	MUST(unlink("file"));
	for (int i = 0; i < 100; i++)
		MUST(chdir(".."));
	CHECK_OK(syscall(SYS_getcwd, path, sizeof(path)));
	CHECK_EQ(strlen(path), strlen(dir) + 100 * 33);
	for (int i = 0; i < 100; i++)
		MUST(chdir(name));
	for (; depth > 0; depth--) {
		MUST(chdir(".."));
		removed += !rmdir(name);
	}
	CHECK_EQ(removed, 200);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
