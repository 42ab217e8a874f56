/* Chains of symbolic links: 40 are followed, 41 and loops are ELOOP. */
#include "../tst.h"

static void check(const char *dir)
{
	char name[16], target[16], path[PATH_MAX];

	(void)dir;
	tst_file("link0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		snprintf(target, sizeof(target), "link%d", i - 1);
		MUST(symlink(target, name));
	}
	CHECK_EQ(access("link40", F_OK), 0);
	CHECK_ERR(access("link41", F_OK), ELOOP);
	MUST(symlink("self", "self"));
	MUST(symlink("pong", "ping"));
	MUST(symlink("ping", "pong"));
	CHECK_ERR(access("self", F_OK), ELOOP);
	CHECK_ERR(access("ping", F_OK), ELOOP);
	CHECK_ERR(access("ping/x", F_OK), ELOOP);
	CHECK_ERR(mkdir("self/x", 0755), ELOOP);
	CHECK_ERR(chdir("self"), ELOOP);
	MUST(symlink(".", "here"));
	path[0] = 0;
	for (int i = 0; i < 40; i++)
		strcat(path, "here/");
	CHECK_EQ(access(path, F_OK), 0);
	strcat(path, "here/");
	CHECK_ERR(access(path, F_OK), ELOOP);
	CHECK_EQ(unlink("self"), 0);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
