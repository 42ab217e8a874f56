/* /sys: CPU lists, the clock source, directories that tools walk. */
#include "../tst.h"

int main(void)
{
	char text[4096], *end;
	struct dirent *entry;
	struct stat status;
	int cpus = 0, first, last;
	DIR *dir;

	MUST(tst_read_file("/sys/devices/system/cpu/online", text, sizeof(text)));
	first = strtol(text, &end, 10);
	last = *end == '-' ? strtol(end + 1, &end, 10) : first;
	CHECK(first == 0 && (*end == '\n' || *end == ','), "a list of CPUs that are online");
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) <= last + 1 || *end == ',', "as many as sysconf says");
	CHECK(tst_read_file("/sys/devices/system/cpu/possible", text, sizeof(text)) > 1, "and that are possible");
	dir = opendir("/sys/devices/system/cpu");
	while (dir && (entry = readdir(dir)))
		cpus += !strncmp(entry->d_name, "cpu", 3) && entry->d_name[3] >= '0' && entry->d_name[3] <= '9';
	if (dir)
		closedir(dir);
	CHECK(cpus >= sysconf(_SC_NPROCESSORS_ONLN), "a directory for each");
	CHECK(tst_read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource", text, sizeof(text)) > 1,
	      "the clock source has a name");
	CHECK(stat("/sys/block", &status) == 0 && S_ISDIR(status.st_mode), "/sys/block");
	CHECK(stat("/sys/class", &status) == 0 && S_ISDIR(status.st_mode), "/sys/class");
	CHECK(stat("/sys/kernel", &status) == 0 && S_ISDIR(status.st_mode), "/sys/kernel");
	CHECK(tst_read_file("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) > 0 && strchr(text, '['),
	      "huge pages: one of the choices is in brackets");
	CHECK(stat("/sys/devices/system/node", &status) == 0 && S_ISDIR(status.st_mode), "/sys/devices/system/node");
	CHECK(readlink("/sys/devices/system/node/node0/cpu0", text, sizeof(text)) == 14 && !memcmp(text, "../../cpu/cpu0", 14),
	      "a memory node has links to its CPUs");
	CHECK(tst_read_file("/sys/devices/system/node/node0/cpu0/topology/core_id", text, sizeof(text)) > 1, "which lead there");
	CHECK(tst_read_file("/sys/devices/system/cpu/cpu0/node0/cpulist", text, sizeof(text)) > 1 && text[0] == '0', "and a CPU one to its node");
	MUST(tst_read_file("/sys/devices/system/node/node0/cpumap", text, sizeof(text)));
	CHECK(strspn(text, "0123456789abcdef,") == strlen(text) - 1 && strcspn(text, ",") <= 8, "a mask is in words of 32 bits");
	CHECK_ERR(open("/sys/missing", O_RDONLY), ENOENT);
	CHECK_ERR(open("/sys/fs/selinux/enforce", O_RDONLY), ENOENT);
	return tst_done();
}
