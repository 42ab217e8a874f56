/* getuid(2) and its kin, setresuid(2), setreuid(2), setuid(2), and the same for groups: what root may, what others may not. */
#include "../tst.h"

#include <sys/fsuid.h>

static int uids(uid_t real, uid_t effective, uid_t saved)
{
	uid_t r, e, s;

	return !getresuid(&r, &e, &s) && r == real && e == effective && s == saved && getuid() == real &&
	       geteuid() == effective;
}

static int gids(gid_t real, gid_t effective, gid_t saved)
{
	gid_t r, e, s;

	return !getresgid(&r, &e, &s) && r == real && e == effective && s == saved && getgid() == real &&
	       getegid() == effective;
}

int main(void)
{
	if (geteuid())
		tst_conf("needs root");
	CHECK(uids(0, 0, 0) && gids(0, 0, 0), "starts as root");
	CHECK_EQ(setresgid(10, 20, 30), 0);
	CHECK(gids(10, 20, 30), "setresgid sets each");
	CHECK_EQ(setresgid(-1, 21, -1), 0);
	CHECK(gids(10, 21, 30), "-1 leaves one");
	CHECK_EQ(setregid(11, 22), 0);
	CHECK(gids(11, 22, 22), "setregid with a real id moves the saved one too");
	CHECK_EQ(setgid(0), 0);
	CHECK(gids(0, 0, 0), "setgid by root sets all three");

	CHECK_EQ(setresuid(100, 0, 300), 0);
	CHECK(uids(100, 0, 300), "setresuid sets each");
	CHECK_EQ(setfsuid(77), 0);
	CHECK_EQ(setfsuid(-1), 77);
	CHECK_EQ(seteuid(100), 0);
	CHECK(uids(100, 100, 300), "seteuid");
	CHECK_EQ(setfsuid(-1), 100);
	CHECK_ERR(setresuid(0, 0, 0), EPERM);
	CHECK_ERR(seteuid(0), EPERM);
	CHECK_ERR(setuid(0), EPERM);
	CHECK_ERR(setresgid(5, 5, 5), EPERM);
	CHECK_ERR(setgid(5), EPERM);
	CHECK_EQ(setresuid(-1, 300, -1), 0);
	CHECK(uids(100, 300, 300), "without privileges any of the three ids may be taken");
	CHECK_EQ(setuid(100), 0);
	CHECK(uids(100, 100, 300), "setuid without privileges sets the effective id only");
	CHECK_EQ(setresuid(100, 100, 100), 0);
	CHECK_ERR(seteuid(300), EPERM);
	CHECK_EQ(setresuid(-1, -1, -1), 0);
	CHECK_ERR(syscall(SYS_getresuid, TST_BAD, TST_BAD, TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_setuid, -1), EINVAL);
	return tst_done();
}
