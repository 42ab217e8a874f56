/* The first process of the Linux guest that Husk is measured against: runs /program, then resets the machine. */
#include <fcntl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	pid_t child = vfork();
	if (child == 0) {
		char *argv[] = { "/program", 0 };
		char *env[] = { "PATH=/", 0 };
		execve(argv[0], argv, env);
		_exit(127);
	}
	int status;
	waitpid(child, &status, 0);
	/* The monitor ends at a reset (-no-reboot). */
	reboot(RB_AUTOBOOT);
	return 1;
}
