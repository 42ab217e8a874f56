/* uname(2): Linux on x86_64, a release that programs take for a recent Linux; and the errors of sethostname(2). */
#include "../tst.h"

#include <sys/utsname.h>

int main(void)
{
	struct utsname name;
	char text[256], wanted[256];
	int major = 0, minor = 0;

	CHECK_EQ(uname(&name), 0);
	CHECK_STR(name.sysname, "Linux");
	CHECK_STR(name.machine, "x86_64");
	CHECK(sscanf(name.release, "%d.%d", &major, &minor) == 2, "the release is two numbers and more");
	CHECK(major > 6 || (major == 6 && minor >= 1), "and not an old one");
	CHECK(name.nodename[0] && name.version[0] && name.domainname[0], "no field is empty");
	MUST(tst_read_file("/proc/sys/kernel/osrelease", text, sizeof(text)));
	snprintf(wanted, sizeof(wanted), "%s\n", name.release);
	CHECK(!strcmp(text, wanted), "/proc/sys/kernel/osrelease agrees");
	MUST(tst_read_file("/proc/sys/kernel/hostname", text, sizeof(text)));
	snprintf(wanted, sizeof(wanted), "%s\n", name.nodename);
	CHECK(!strcmp(text, wanted), "so does /proc/sys/kernel/hostname");
	MUST(tst_read_file("/proc/sys/kernel/ostype", text, sizeof(text)));
	CHECK_STR(text, "Linux\n");
	MUST(tst_read_file("/proc/version", text, sizeof(text)));
	snprintf(wanted, sizeof(wanted), "Linux version %s ", name.release);
	CHECK(!strncmp(text, wanted, strlen(wanted)), "/proc/version starts with the release");
	CHECK_ERR(uname(TST_BAD), EFAULT);
	CHECK_ERR(syscall(SYS_sethostname, TST_BAD, 5), EFAULT);
	CHECK_ERR(syscall(SYS_sethostname, "x", 65), EINVAL);
	CHECK_ERR(syscall(SYS_sethostname, "x", TST_MINUS), EINVAL);
	return tst_done();
}
