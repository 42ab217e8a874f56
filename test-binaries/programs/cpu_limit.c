/* RLIMIT_CPU: SIGXCPU each second from the soft limit on, then SIGKILL at the hard one. The argument: `default`, `handler`, or `threads`, which
 * use up the time together. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void over(int signal)
{
	(void)signal;
	if (write(1, "SIGXCPU\n", 8) != 8)
		_exit(1);
}

static void *work(void *argument)
{
	(void)argument;
	for (;;)
		__asm__ volatile("");
	return NULL;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	struct rlimit limit = { 1, strcmp(mode, "handler") ? 60 : 3 };
	struct sigaction action = { .sa_handler = over, .sa_flags = SA_RESTART };
	pthread_t thread;

	if (!strcmp(mode, "handler"))
		sigaction(SIGXCPU, &action, NULL);
	if (!strcmp(mode, "threads"))
		limit.rlim_max = 1;
	if (setrlimit(RLIMIT_CPU, &limit))
		return 1;
	puts("before");
	fflush(stdout);
	for (int i = 0; i < 3 && !strcmp(mode, "threads"); i++)
		if (pthread_create(&thread, NULL, work, NULL))
			return 1;
	work(NULL);
}
