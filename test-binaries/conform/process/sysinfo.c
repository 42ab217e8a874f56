/* sysinfo(2) and /proc/meminfo, /proc/uptime, /proc/loadavg: numbers that agree with each other. */
#include "../tst.h"

#include <sys/sysinfo.h>

static long meminfo(const char *text, const char *key)
{
	const char *line = strstr(text, key);
	long kilobytes = -1;

	if (line)
		sscanf(line + strlen(key), " %ld kB", &kilobytes);
	return kilobytes;
}

int main(void)
{
	struct sysinfo info;
	char text[8192];
	double up = 0, idle = -1, load[3];
	long total, free_now, available;
	int running, all;

	CHECK_EQ(sysinfo(&info), 0);
	CHECK(info.mem_unit >= 1 && info.totalram > 0, "there is memory");
	CHECK(info.freeram <= info.totalram && info.freeram > 0, "and some of it is free");
	CHECK(info.procs >= 1, "and a process");
	CHECK_ERR(syscall(SYS_sysinfo, TST_BAD), EFAULT);

	MUST(tst_read_file("/proc/meminfo", text, sizeof(text)));
	total = meminfo(text, "MemTotal:");
	free_now = meminfo(text, "MemFree:");
	available = meminfo(text, "MemAvailable:");
	CHECK(!strncmp(text, "MemTotal:", 9), "/proc/meminfo starts with MemTotal");
	CHECK(total == (long)(info.totalram * info.mem_unit / 1024), "MemTotal is totalram");
	CHECK(free_now > 0 && free_now <= total, "MemFree");
	CHECK(available > 0 && available <= total, "MemAvailable");
	CHECK(meminfo(text, "Buffers:") >= 0 && meminfo(text, "\nCached:") >= 0, "Buffers and Cached");
	CHECK(meminfo(text, "SwapTotal:") >= 0 && meminfo(text, "SwapFree:") >= 0, "SwapTotal and SwapFree");
	MUST(tst_read_file("/proc/uptime", text, sizeof(text)));
	CHECK(sscanf(text, "%lf %lf", &up, &idle) == 2 && up > 0 && idle >= 0, "/proc/uptime is two numbers");
	CHECK(up - (double)info.uptime > -2 && up - (double)info.uptime < 5, "sysinfo's uptime agrees");
	MUST(tst_read_file("/proc/loadavg", text, sizeof(text)));
	CHECK(sscanf(text, "%lf %lf %lf %d/%d", &load[0], &load[1], &load[2], &running, &all) == 5 && running >= 1 &&
		      all >= running,
	      "/proc/loadavg is three loads and the number of tasks");
	CHECK(get_nprocs() >= 1 && get_nprocs_conf() >= get_nprocs(), "a number of CPUs");
	CHECK(sysconf(_SC_PHYS_PAGES) > 0 && sysconf(_SC_AVPHYS_PAGES) > 0, "a number of pages");
	return tst_done();
}
