/* getgroups(2), setgroups(2): lists, sizes, access by a supplementary group; and their errors. */
#include "../tst.h"

#include <grp.h>

static void check(const char *dir)
{
	gid_t list[4] = { 1000, 2000, 3000 }, got[8];

	(void)dir;
	if (geteuid())
		tst_conf("needs root");
	CHECK_EQ(setgroups(3, list), 0);
	CHECK_EQ(getgroups(0, NULL), 3);
	CHECK_EQ(getgroups(8, got), 3);
	CHECK(got[0] + got[1] + got[2] == 6000, "the three groups");
	CHECK_ERR(getgroups(2, got), EINVAL);
	CHECK_ERR(syscall(SYS_getgroups, -1, got), EINVAL);
	CHECK_ERR(syscall(SYS_getgroups, 3, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_setgroups, 65537, list), EINVAL);
	CHECK_ERR(syscall(SYS_setgroups, 3, TST_BAD), EFAULT);

	tst_file("file", "x");
	MUST(chown("file", 0, 2000));
	MUST(chmod("file", 0040));
	MUST(seteuid(4321));
	CHECK_OK(close(open("file", O_RDONLY)));
	CHECK_ERR(open("file", O_WRONLY), EACCES);
	CHECK_ERR(setgroups(0, NULL), EPERM);
	MUST(seteuid(0));
	CHECK_EQ(setgroups(0, NULL), 0);
	CHECK_EQ(getgroups(8, got), 0);
	MUST(seteuid(4321));
	CHECK_ERR(open("file", O_RDONLY), EACCES);
	MUST(seteuid(0));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
