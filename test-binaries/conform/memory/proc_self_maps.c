/* /proc/self/maps: ranges, protections, offsets and names of what is mapped. */
#include "../tst.h"

static char text[65536];

/* The line of the mapping that starts at this address, without the address; NULL if there is none. */
static const char *line_of(const void *address)
{
	static char line[512];
	char start[32];

	if (tst_read_file("/proc/self/maps", text, sizeof(text)) < 0)
		tst_brk("cannot read /proc/self/maps: %s", tst_errno(errno));
	snprintf(start, sizeof(start), "%lx-", (unsigned long)address);
	for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"))
		if (!strncmp(at, start, strlen(start))) {
			snprintf(line, sizeof(line), "%s", at);
			return line;
		}
	return NULL;
}

static unsigned long length(const char *line)
{
	unsigned long start, end;

	return line && sscanf(line, "%lx-%lx", &start, &end) == 2 ? end - start : 0;
}

static int has(const char *line, const char *word)
{
	return line && strstr(line, word);
}

int main(void)
{
	char local = 0, *area, path[PATH_MAX] = { 0 };
	struct stat status;
	unsigned long start, end, offset, inode;
	char perms[5], name[PATH_MAX];
	int fd, major, minor, exe = 0, stack = 0, heap = 0, vvar = 0;
	const char *line;
	unsigned long last = 0;
	int ordered = 1;

	MUST(syscall(SYS_brk, syscall(SYS_brk, 0) + TST_PAGE));
	area = MUST(mmap(NULL, 10 * TST_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MUST(mprotect(area + 2 * TST_PAGE, 3 * TST_PAGE, PROT_READ | PROT_WRITE));
	line = line_of(area + 2 * TST_PAGE);
	CHECK(has(line, " rw-p 00000000 00:00 0"), "anonymous memory with its protection");
	CHECK_EQ(length(line), 3 * TST_PAGE);
	CHECK(has(line_of(area + 5 * TST_PAGE), " ---p "), "PROT_NONE");
	MUST(mprotect(area + 2 * TST_PAGE, 3 * TST_PAGE, PROT_NONE));
	CHECK(!line_of(area + 2 * TST_PAGE), "equal neighbours are one line again");

	strcpy(path, tst_path("maps"));
	tst_file(path, "x");
	fd = MUST(open(path, O_RDWR));
	MUST(ftruncate(fd, 4 * TST_PAGE));
	MUST(fstat(fd, &status));
	area = MUST(mmap(NULL, TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * TST_PAGE));
	line = line_of(area);
	CHECK(has(line, " rw-s 00002000 "), "a shared mapping with its offset");
	CHECK(has(line, path), "and the path of its file");
	CHECK(line && sscanf(line, "%*x-%*x %*s %*x %x:%x %lu", &major, &minor, &inode) == 3 && inode == status.st_ino,
	      "and its inode");
	MUST(unlink(path));
	CHECK(has(line_of(area), " (deleted)"), "which is said to be deleted when it is");

	memset(path, 0, sizeof(path));
	MUST(readlink("/proc/self/exe", path, sizeof(path) - 1));
	if (tst_read_file("/proc/self/maps", text, sizeof(text)) < 0)
		tst_brk("cannot read /proc/self/maps");
	for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
		name[0] = 0;
		if (sscanf(at, "%lx-%lx %4s %lx %x:%x %lu %s", &start, &end, perms, &offset, &major, &minor, &inode,
			   name) < 7) {
			tst_fail("a line is not as in proc_pid_maps(5): %s", at);
			continue;
		}
		ordered &= start >= last && end > start;
		last = end;
		if (start <= (uintptr_t)line_of && (uintptr_t)line_of < end)
			exe = !strcmp(perms, "r-xp") && !strcmp(name, path);
		if (start <= (uintptr_t)&local && (uintptr_t)&local < end)
			stack = !strcmp(perms, "rw-p") && !strcmp(name, "[stack]");
		if (!strcmp(name, "[heap]"))
			heap = !strcmp(perms, "rw-p") && end == (uintptr_t)syscall(SYS_brk, 0);
		vvar |= !strcmp(name, "[vdso]");
	}
	CHECK(ordered, "addresses ascend without overlap");
	CHECK(exe, "the program's code is r-xp and names the program");
	CHECK(stack, "[stack] holds local variables");
	CHECK(heap, "[heap] ends at the break");
	return tst_done();
}
