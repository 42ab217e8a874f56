/* /proc/cpuinfo, stat, filesystems, mounts, mountinfo, cgroup, sys: what programs read to learn about the system. */
#include "../tst.h"

static char text[1 << 20];

static ssize_t get(const char *path)
{
	ssize_t size = tst_read_file(path, text, sizeof(text));

	if (size < 0)
		tst_fail("%s cannot be read: %s", path, tst_errno(errno));
	return size;
}

static long number(const char *path)
{
	return get(path) > 0 ? atol(text) : -1;
}

static int lines(const char *start)
{
	int count = 0;

	for (char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		count += !strncmp(at, start, strlen(start));
		if (!*at)
			break;
	}
	return count;
}

int main(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), user = -1, idle = -1, boot = 0;
	char *at;

	get("/proc/cpuinfo");
	CHECK(lines("processor\t: ") == cpus, "/proc/cpuinfo has an entry for each CPU");
	CHECK(lines("vendor_id\t: ") == cpus && lines("flags\t\t: ") == cpus && lines("model name\t: ") == cpus,
	      "with vendor, model and flags");
	CHECK(strstr(text, " sse2") && strstr(text, " fpu"), "among them sse2");
	get("/proc/stat");
	CHECK(lines("cpu") == cpus + 1 && sscanf(text, "cpu %ld %*d %*d %ld", &user, &idle) == 2, "/proc/stat: a line each and one for all");
	CHECK(user >= 0 && idle >= 0, "with times");
	at = strstr(text, "\nbtime ");
	CHECK(at && (boot = atol(at + 7)) > 1700000000 && boot <= time(NULL) + 1, "btime is in the past");
	CHECK(strstr(text, "\nctxt ") && strstr(text, "\nprocesses ") && strstr(text, "\nprocs_running "), "ctxt, processes, procs_running");
	get("/proc/filesystems");
	CHECK(strstr(text, "nodev\tproc\n") && strstr(text, "nodev\ttmpfs\n") && strstr(text, "\text4\n"), "/proc/filesystems");
	get("/proc/self/mounts");
	CHECK(strstr(text, " / ext4 ") && strstr(text, " /proc proc ") && strstr(text, " /sys sysfs "), "/proc/self/mounts");
	CHECK(strstr(text, " /dev/shm tmpfs "), "/dev/shm is tmpfs");
	get("/proc/self/mountinfo");
	CHECK(strstr(text, " / / rw") && strstr(text, " - ext4 "), "/proc/self/mountinfo");
	CHECK(strstr(text, " - proc ") && strstr(text, " - sysfs "), "with proc and sysfs");
	CHECK(get("/proc/mounts") > 0, "/proc/mounts");
	CHECK(get("/proc/self/cgroup") >= 0, "/proc/self/cgroup");
	CHECK(access("/proc/self/oom_score_adj", F_OK) == 0, "/proc/self/oom_score_adj");

	CHECK(number("/proc/sys/vm/overcommit_memory") >= 0, "/proc/sys/vm/overcommit_memory");
	CHECK(number("/proc/sys/vm/max_map_count") >= 1024, "/proc/sys/vm/max_map_count");
	CHECK(number("/proc/sys/kernel/pid_max") >= 32768, "/proc/sys/kernel/pid_max");
	CHECK(number("/proc/sys/kernel/cap_last_cap") >= 35, "/proc/sys/kernel/cap_last_cap");
	CHECK_EQ(number("/proc/sys/kernel/ngroups_max"), 65536);
	CHECK(number("/proc/sys/kernel/threads-max") > 0, "/proc/sys/kernel/threads-max");
	CHECK(number("/proc/sys/fs/file-max") > 1000, "/proc/sys/fs/file-max");
	CHECK(number("/proc/sys/fs/pipe-max-size") >= 4096, "/proc/sys/fs/pipe-max-size");
	CHECK(number("/proc/sys/net/core/somaxconn") > 0, "/proc/sys/net/core/somaxconn");
	CHECK(get("/proc/sys/kernel/random/uuid") == 37 && text[8] == '-' && text[36] == '\n', "a random UUID");
	CHECK(get("/proc/sys/kernel/random/boot_id") == 37, "the boot's UUID");

	CHECK_ERR(open("/proc/missing", O_RDONLY), ENOENT);
	CHECK_ERR(open("/proc/self/missing", O_RDONLY), ENOENT);
	CHECK_ERR(open("/proc/0", O_RDONLY), ENOENT);
	CHECK_ERR(mkdir("/proc/x", 0755), ENOENT);
	CHECK_ERR(open("/proc/x", O_WRONLY | O_CREAT, 0600), ENOENT);
	CHECK_ERR(open("/proc/self", O_WRONLY), EISDIR);
	return tst_done();
}
