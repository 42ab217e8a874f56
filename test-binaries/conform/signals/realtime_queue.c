/* Real-time signals queue in order with their values; standard signals do not queue. */
#include "../tst.h"

static int values[64], count, standard;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (signal == SIGUSR1)
		standard++;
	else if (count < 64)
		values[count++] = info->si_value.sival_int;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	sigset_t set;
	int ordered = 1;

	sigfillset(&action.sa_mask);
	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGRTMIN + 1, &action, NULL));
	MUST(sigaction(SIGRTMAX, &action, NULL));
	sigfillset(&set);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 20; i++) {
		MUST(sigqueue(getpid(), SIGRTMAX, (union sigval){ .sival_int = 100 + i }));
		MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i }));
		MUST(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = i }));
	}
	MUST(sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK_EQ(count, 40);
	CHECK_EQ(standard, 1);
	for (int i = 0; i < 20; i++)
		ordered &= values[i] == i && values[20 + i] == 100 + i;
	CHECK(ordered, "lower numbers first, each in the order of sending, with its value");
	return tst_done();
}
