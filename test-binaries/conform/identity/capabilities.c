/* capget(2), capset(2) and PR_CAPBSET_READ: root's capabilities, dropped one by one and all by a change of user; and their errors. */
#include "../tst.h"

#include <sys/prctl.h>

struct header {
	uint32_t version;
	int pid;
};

struct data {
	uint32_t effective, permitted, inheritable;
};

enum { VERSION_3 = 0x20080522, CHOWN = 0, KILL = 5, SETUID = 7 };

int main(void)
{
	struct header header = { VERSION_3, 0 };
	struct data data[2] = { { 0 } };

	if (geteuid())
		tst_conf("needs root");
	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	CHECK((data[0].effective & 0xff) == 0xff && (data[0].permitted & 0xff) == 0xff, "root has its capabilities");
	CHECK_EQ(prctl(PR_CAPBSET_READ, CHOWN, 0, 0, 0), 1);
	CHECK_ERR(prctl(PR_CAPBSET_READ, 64, 0, 0, 0), EINVAL);
	data[0].effective &= ~(1 << CHOWN);
	CHECK_EQ(syscall(SYS_capset, &header, data), 0);
	tst_file(tst_path("caps"), "");
	CHECK_ERR(chown(tst_path("caps"), 5, 5), EPERM);
	data[0].effective |= 1 << CHOWN;
	CHECK_EQ(syscall(SYS_capset, &header, data), 0);
	CHECK_EQ(chown(tst_path("caps"), 5, 5), 0);
	MUST(unlink(tst_path("caps")));
	data[0].effective &= ~(1 << KILL);
	data[0].permitted &= ~(1 << KILL);
	CHECK_EQ(syscall(SYS_capset, &header, data), 0);
	data[0].permitted |= 1 << KILL;
	CHECK_ERR(syscall(SYS_capset, &header, data), EPERM);
	data[0].permitted &= ~(1 << KILL);
	data[0].effective |= 1 << KILL;
	CHECK_ERR(syscall(SYS_capset, &header, data), EPERM);

	header.version = 1;
	CHECK_ERR(syscall(SYS_capget, &header, data), EINVAL);
	CHECK_EQ(header.version, VERSION_3);
	header.version = 1;
	CHECK_EQ(syscall(SYS_capget, &header, NULL), 0);
	header.pid = 0x3fffffff;
	CHECK_ERR(syscall(SYS_capget, &header, data), ESRCH);
	header.pid = -1;
	CHECK_ERR(syscall(SYS_capget, &header, data), EINVAL);
	header.pid = 0;
	CHECK_ERR(syscall(SYS_capget, TST_BAD, data), EFAULT);

	MUST(setuid(1234));
	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	CHECK(!data[0].effective && !data[0].permitted && !data[1].effective && !data[1].permitted,
	      "another user has none");
	return tst_done();
}
