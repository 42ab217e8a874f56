/* conform: args="one two words" */
/* What a program finds at its start: argv, environ, the auxiliary vector, alignment, clean registers and signal state. */
#include "../tst.h"

#include <elf.h>
#include <sys/auxv.h>

extern char **environ;

int main(int argc, char **argv)
{
	const unsigned char *random = (void *)getauxval(AT_RANDOM);
	const char *name = (void *)getauxval(AT_EXECFN);
	const Elf64_Phdr *headers = (void *)getauxval(AT_PHDR);
	char cmdline[4096], path[PATH_MAX] = { 0 };
	int loads = 0, sum = 0, envc = 0;
	unsigned control;
	unsigned short fpu;
	struct sigaction action;
	sigset_t set;
	ssize_t size;

	CHECK(argc >= 2 && argv[argc] == NULL, "argv ends with a null");
	CHECK(environ != NULL, "an environment");
	while (environ[envc])
		envc++;
	CHECK((char **)environ == argv + argc + 1, "environ lies behind argv");
	CHECK(argv[0] < argv[1], "the strings of argv are in order");
	size = MUST(tst_read_file("/proc/self/cmdline", cmdline, sizeof(cmdline)));
	CHECK(!strcmp(cmdline, argv[0]) && size > 0 && cmdline[size - 1] == 0, "/proc/self/cmdline is argv");
	CHECK(!strcmp(cmdline + strlen(cmdline) + 1, argv[1]), "with the first argument behind the name");

	CHECK_EQ(getauxval(AT_PAGESZ), TST_PAGE);
	CHECK_EQ(getauxval(AT_CLKTCK), 100);
	CHECK_EQ(getauxval(AT_UID), getuid());
	CHECK_EQ(getauxval(AT_EUID), geteuid());
	CHECK_EQ(getauxval(AT_GID), getgid());
	CHECK_EQ(getauxval(AT_EGID), getegid());
	CHECK_EQ(getauxval(AT_SECURE), 0);
	CHECK_EQ(getauxval(AT_FLAGS), 0);
	CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
	CHECK(getauxval(AT_HWCAP) != 0, "AT_HWCAP");
	CHECK_STR((char *)getauxval(AT_PLATFORM), "x86_64");
	MUST(readlink("/proc/self/exe", path, sizeof(path) - 1));
	CHECK(name && access(name, X_OK) == 0, "AT_EXECFN is a program");
	for (int i = 0; random && i < 16; i++)
		sum |= random[i];
	CHECK(sum != 0, "AT_RANDOM points to 16 bytes that are not all zero");
	for (unsigned long i = 0; headers && i < getauxval(AT_PHNUM); i++)
		loads += headers[i].p_type == PT_LOAD;
	CHECK(loads >= 1, "AT_PHDR points to program headers");
	CHECK(getauxval(AT_ENTRY) != 0, "AT_ENTRY");

	__asm__("stmxcsr %0" : "=m"(control));
	CHECK((control & ~0x3fu) == 0x1f80, "MXCSR masks all exceptions");
	__asm__("fnstcw %0" : "=m"(fpu));
	CHECK_EQ(fpu, 0x37f);
	MUST(sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(!sigismember(&set, SIGUSR1) && !sigismember(&set, SIGALRM), "no signal is blocked");
	MUST(sigaction(SIGUSR1, NULL, &action));
	CHECK(action.sa_handler == SIG_DFL, "signals have their default actions");
	return tst_done();
}
