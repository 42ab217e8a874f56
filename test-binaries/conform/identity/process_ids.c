/* getpid(2), getppid(2), gettid(2), process groups and sessions: what they are at the start, and their errors. */
#include "../tst.h"

int main(void)
{
	char path[64], target[64] = { 0 }, pid[64];
	pid_t me = getpid();

	CHECK(me >= 2, "the pid is 2 or more");
	CHECK(getppid() != me, "the parent is another process");
	CHECK(syscall(SYS_gettid) == me, "the only thread has the process's id");
	MUST(readlink("/proc/self", target, sizeof(target) - 1));
	snprintf(pid, sizeof(pid), "%d", me);
	CHECK(!strcmp(target, pid), "/proc/self names it");
	snprintf(path, sizeof(path), "/proc/%d/stat", me);
	CHECK_EQ(access(path, R_OK), 0);
	CHECK(getpgid(0) == getpgrp() && getpgid(me) == getpgrp(), "getpgid and getpgrp agree");
	CHECK(getsid(0) == getsid(me) && getsid(0) >= 0, "getsid of itself");
	CHECK_ERR(getpgid(0x3fffffff), ESRCH);
	CHECK_ERR(getsid(0x3fffffff), ESRCH);
	CHECK_ERR(getpgid(-5), ESRCH);
	CHECK_ERR(setpgid(-1, 0), EINVAL);
	CHECK_ERR(setpgid(0, -1), EINVAL);
	CHECK_ERR(setpgid(0x3fffffff, 0), ESRCH);
	/* A session leader cannot do this, and needs not. */
	setpgid(0, 0);
	CHECK(getpgrp() == me, "it leads its process group");
	CHECK_ERR(setsid(), EPERM);
	return tst_done();
}
