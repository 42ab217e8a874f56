/* /proc/self/status: the fields that programs read, and their agreement with the calls. */
#include "../tst.h"

static char text[8192];

static const char *field(const char *name)
{
	static char value[256];
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "\n%s:\t", name);
	at = strstr(text, key);
	if (!at)
		return NULL;
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + strlen(key), "\n"), at + strlen(key));
	return value;
}

static long number(const char *name)
{
	const char *value = field(name);

	return value ? atol(value) : -1;
}

int main(void)
{
	static const char *const sizes[] = { "VmPeak", "VmSize", "VmHWM", "VmRSS", "VmData", "VmStk", "VmExe" };
	char path[PATH_MAX] = { 0 }, name[16];
	unsigned ids[4];
	unsigned long mask = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	signal(SIGUSR1, SIG_IGN);
	text[0] = '\n';
	MUST(tst_read_file("/proc/self/status", text + 1, sizeof(text) - 1));
	MUST(readlink("/proc/self/exe", path, sizeof(path) - 1));
	snprintf(name, sizeof(name), "%s", strrchr(path, '/') + 1);
	CHECK(field("Name") && !strcmp(field("Name"), name), "Name is the first 15 bytes of the program's");
	CHECK_STR(field("State") ? field("State") : "none", "R (running)");
	CHECK(number("Pid") == getpid() && number("Tgid") == getpid(), "Pid and Tgid");
	CHECK(number("PPid") == getppid(), "PPid");
	CHECK_EQ(number("TracerPid"), 0);
	CHECK(field("Uid") && sscanf(field("Uid"), "%u %u %u %u", ids, ids + 1, ids + 2, ids + 3) == 4 && ids[0] == getuid() &&
		      ids[1] == geteuid(),
	      "Uid has four numbers");
	CHECK(field("Gid") && sscanf(field("Gid"), "%u %u %u %u", ids, ids + 1, ids + 2, ids + 3) == 4 && ids[0] == getgid(),
	      "Gid has four numbers");
	CHECK(field("Groups") != NULL, "Groups");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		CHECK(number(sizes[i]) > 0 && strstr(field(sizes[i]), " kB"), "%s in kB", sizes[i]);
	CHECK(number("VmRSS") <= number("VmSize") && number("VmSize") <= number("VmPeak"), "resident, mapped, peak");
	CHECK_EQ(number("Threads"), 1);
	CHECK(field("SigBlk") && sscanf(field("SigBlk"), "%lx", &mask) == 1 && mask == 1UL << (SIGUSR2 - 1), "SigBlk");
	CHECK(field("SigIgn") && sscanf(field("SigIgn"), "%lx", &mask) == 1 && (mask & 1UL << (SIGUSR1 - 1)), "SigIgn");
	CHECK(field("SigCgt") && sscanf(field("SigCgt"), "%lx", &mask) == 1 && !(mask & 1UL << (SIGUSR1 - 1)), "SigCgt");
	CHECK(field("CapEff") && strlen(field("CapEff")) == 16, "CapEff has 16 digits");
	CHECK_EQ(number("NoNewPrivs"), 0);
	CHECK_EQ(number("Seccomp"), 0);
	CHECK(field("Cpus_allowed") && field("Cpus_allowed_list"), "Cpus_allowed and its list");
	return tst_done();
}
