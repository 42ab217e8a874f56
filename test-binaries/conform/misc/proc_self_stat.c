/* /proc/self/stat, statm, comm, cmdline, environ, auxv, exe, root, limits, task: formats and agreement. */
#include "../tst.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

extern char **environ;

int main(void)
{
	static char text[65536];
	char *rest, *token, target[PATH_MAX] = { 0 }, *values[60];
	unsigned long statm[7];
	Elf64_auxv_t *entry;
	ssize_t size;
	int count = 0;
	struct stat one, two;

	MUST(prctl(PR_SET_NAME, "a (b) c", 0, 0, 0));
	MUST(tst_read_file("/proc/self/stat", text, sizeof(text)));
	CHECK(atoi(text) == getpid(), "it starts with the pid");
	CHECK(strstr(text, " (a (b) c) R "), "the name in parentheses, then the state");
	rest = strrchr(text, ')') + 2;
	for (token = strtok(rest, " \n"); token && count < 60; token = strtok(NULL, " \n"))
		values[count++] = token;
	CHECK_EQ(count, 50);
	CHECK(count == 50 && atoi(values[1]) == getppid() && atoi(values[2]) == getpgrp() && atoi(values[3]) == getsid(0),
	      "parent, group and session");
	CHECK(count == 50 && atoi(values[17]) == 1, "one thread");
	CHECK(count == 50 && atol(values[20]) > 0 && atol(values[20]) % 4096 == 0 && atol(values[21]) >= 0, "sizes");
	unsigned long start_stack = count == 50 ? strtoul(values[25], NULL, 10) : 0;
	CHECK((char *)start_stack <= (char *)environ && (char *)environ - (char *)start_stack < 100000, "the start of the stack");
	MUST(tst_read_file("/proc/self/comm", text, sizeof(text)));
	CHECK_STR(text, "a (b) c\n");
	MUST(tst_read_file("/proc/self/statm", text, sizeof(text)));
	CHECK(sscanf(text, "%lu %lu %lu %lu %lu %lu %lu", statm, statm + 1, statm + 2, statm + 3, statm + 4, statm + 5,
		     statm + 6) == 7,
	      "statm is seven numbers");
	CHECK(statm[0] >= statm[1] && statm[0] > 0, "resident pages are no more than mapped ones");

	size = MUST(tst_read_file("/proc/self/environ", text, sizeof(text)));
	CHECK(size == 0 || !strcmp(text, environ[0]), "environ starts with the first variable");
	size = MUST(tst_read_file("/proc/self/auxv", text, sizeof(text)));
	CHECK(size > 0 && size % sizeof(Elf64_auxv_t) == 0, "auxv is pairs of words");
	count = 0;
	for (entry = (void *)text; (char *)entry < text + size; entry++)
		count += (entry->a_type == AT_PHDR && entry->a_un.a_val == getauxval(AT_PHDR)) ||
			 (entry->a_type == AT_ENTRY && entry->a_un.a_val == getauxval(AT_ENTRY));
	CHECK(count == 2, "with what the program got");
	MUST(readlink("/proc/self/exe", target, sizeof(target) - 1));
	MUST(stat("/proc/self/exe", &one));
	MUST(stat(target, &two));
	CHECK(one.st_ino == two.st_ino, "exe is the program");
	memset(target, 0, sizeof(target));
	MUST(readlink("/proc/self/root", target, sizeof(target) - 1));
	CHECK_STR(target, "/");
	CHECK(tst_read_file("/proc/self/limits", text, sizeof(text)) > 0 && strstr(text, "Max stack size            8388608 "),
	      "limits shows the stack limit");
	CHECK(strstr(text, "Limit                     Soft Limit           Hard Limit           Units     \n") == text,
	      "under its heading");
	snprintf(target, sizeof(target), "/proc/self/task/%d/comm", getpid());
	MUST(tst_read_file(target, text, sizeof(text)));
	CHECK_STR(text, "a (b) c\n");
	CHECK_EQ(access("/proc/thread-self/stat", R_OK), 0);
	return tst_done();
}
