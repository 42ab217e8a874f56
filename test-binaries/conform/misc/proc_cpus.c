/* What /proc and /sys say of the CPUs and of their time: it agrees with itself, with what the calls say, and with what is done. */
#include "../tst.h"
#include <sched.h>
#include <sys/sysinfo.h>

static char text[65536];

static const char *contents(const char *path)
{
	if (tst_read_file(path, text, sizeof(text)) < 0)
		tst_brk("%s: %s", path, tst_errno(errno));
	return text;
}

/* How many lines begin so. */
static int lines(const char *path, const char *start)
{
	int count = 0;

	for (const char *line = contents(path); line; line = strchr(line, '\n')) {
		line += *line == '\n';
		count += !strncmp(line, start, strlen(start));
	}
	return count;
}

/* The number behind a word at the start of a line of /proc/stat, -1 if it is not there. */
static long long stat_number(const char *word)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), "\n%s ", word);
	at = strstr(contents("/proc/stat"), key);
	return at ? atoll(at + strlen(key)) : -1;
}

struct times {
	unsigned long long user, nice, system, idle;
};

static struct times stat_times(const char *name)
{
	struct times times = { 0 };
	const char *line = strstr(contents("/proc/stat"), name);

	if (!line || sscanf(line + strlen(name), "%llu %llu %llu %llu", &times.user, &times.nice, &times.system, &times.idle) != 4)
		tst_fail("/proc/stat has no times of %s", name);
	return times;
}

/* The numbers in a list like 0,2-3. */
static int in_list(const char *path)
{
	const char *at = contents(path);
	int count = 0;

	while (*at >= '0' && *at <= '9') {
		char *end;
		long first = strtol(at, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		count += last - first + 1;
		at = *end == ',' ? end + 1 : end;
	}
	return count;
}

static void spin(long long nanoseconds)
{
	long long end = tst_now(CLOCK_THREAD_CPUTIME_ID) + nanoseconds;

	while (tst_now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

int main(void)
{
	struct sysinfo info;
	struct timespec moment = { 0, 50000000 };
	struct times before, after, sum = { 0 };
	long long switches, ticks;
	double up, idle, loads[3];
	int online = sysconf(_SC_NPROCESSORS_CONF), running, total, last, apart;
	cpu_set_t set, one;
	char name[32], *at;

	MUST(sched_getaffinity(0, sizeof(set), &set));
	CHECK(in_list("/sys/devices/system/cpu/online") >= CPU_COUNT(&set), "all CPUs that may be used are online");
	CHECK_EQ(in_list("/sys/devices/system/cpu/present"), online);
	CHECK(in_list("/sys/devices/system/cpu/possible") >= online, "all that are present are possible");
	CHECK_EQ(lines("/proc/cpuinfo", "processor\t"), in_list("/sys/devices/system/cpu/online"));
	CHECK_EQ(lines("/proc/stat", "cpu"), in_list("/sys/devices/system/cpu/online") + 1);

	before = stat_times("cpu ");
	spin(300000000);
	after = stat_times("cpu ");
	ticks = (after.user + after.nice + after.system) - (before.user + before.nice + before.system);
	CHECK(ticks >= 25, "work shows as time of the CPUs");
	for (int i = 0; i < online; i++) {
		struct times times;

		snprintf(name, sizeof(name), "cpu%d ", i);
		times = stat_times(name);
		sum.user += times.user + times.nice + times.system;
		sum.idle += times.idle;
	}
	after = stat_times("cpu ");
	CHECK(sum.user <= after.user + after.nice + after.system + online && sum.idle <= after.idle + online,
	      "the CPUs' times add up to those of all");

	switches = stat_number("ctxt");
	for (int i = 0; i < 3; i++)
		nanosleep(&moment, NULL);
	CHECK(stat_number("ctxt") >= switches + 3, "sleeps show as context switches");
	CHECK(stat_number("procs_running") >= 1, "somebody runs");
	CHECK(llabs(stat_number("btime") - (tst_now(CLOCK_REALTIME) - tst_now(CLOCK_BOOTTIME)) / 1000000000) <= 1,
	      "btime is when the system began");

	CHECK_EQ(sscanf(contents("/proc/uptime"), "%lf %lf", &up, &idle), 2);
	CHECK(up > 0 && up <= tst_now(CLOCK_BOOTTIME) / 1e9 + 0.01 && up + 5 > tst_now(CLOCK_BOOTTIME) / 1e9, "uptime is the clock's");
	CHECK(idle >= 0 && idle <= (up + 0.05) * online, "no CPU was idle for longer than it was there");
	stat_times("cpu ");
	sscanf(contents("/proc/uptime"), "%lf %lf", &up, &idle);
	for (int i = 0; i < 4; i++)
		nanosleep(&moment, NULL);
	{
		double later, idle_later;

		sscanf(contents("/proc/uptime"), "%lf %lf", &later, &idle_later);
		CHECK(later >= up + 0.18 && idle_later >= idle, "time goes on");
	}

	CHECK_EQ(sscanf(contents("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &loads[0], &loads[1], &loads[2], &running, &total, &last), 6);
	CHECK(running >= 1 && total >= running && last >= 1, "/proc/loadavg counts threads");
	MUST(sysinfo(&info));
	apart = 0;
	for (int i = 0; i < 3; i++)
		apart |= info.loads[i] / 65536.0 - loads[i] > 0.6 || loads[i] - info.loads[i] / 65536.0 > 0.6;
	CHECK(!apart, "sysinfo has the same averages");

	/* Where a thread is held to one CPU it is there. */
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int processor = -1, field = 2;

		if (!CPU_ISSET(cpu, &set))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		MUST(sched_setaffinity(0, sizeof(one), &one));
		at = strrchr((char *)contents("/proc/thread-self/stat"), ')');
		for (at = at ? at + 1 : NULL; at && field < 38; field++)
			at = strchr(at + 1, ' ');
		processor = at ? atoi(at) : -1;
		if (processor != cpu || sched_getcpu() != cpu)
			tst_fail("/proc/thread-self/stat says CPU %d, getcpu %d, not %d", processor, sched_getcpu(), cpu);
		snprintf(name, sizeof(name), "\nCpus_allowed_list:\t%d\n", cpu);
		if (!strstr(contents("/proc/thread-self/status"), name))
			tst_fail("Cpus_allowed_list is not %d", cpu);
	}
	CHECK(strstr(contents("/proc/thread-self/status"), "\nState:\tR (running)\n"), "who reads runs");
	return tst_done();
}
