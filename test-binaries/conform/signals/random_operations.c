/* conform: timeout=60 */
/* Thousands of random changes of masks and handlers, signals sent and taken, also inside handlers: the same on both systems in every order. */
#include "../random.h"

#define COUNT 9

static const int signals[COUNT] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGURG, 40, 41, 42 };
static int depth;

static void one_step(void);

static sigset_t random_set(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < COUNT; i++)
		if (rnd(3) == 0)
			sigaddset(&set, signals[i]);
	return set;
}

static long bits(const sigset_t *set)
{
	long value = 0;

	for (int i = 0; i < COUNT; i++)
		value |= (long)sigismember(set, signals[i]) << i;
	return value;
}

static void handler(int signal, siginfo_t *info, void *context)
{
	sigset_t mask;

	(void)context;
	MUST(sigprocmask(SIG_SETMASK, NULL, &mask));
	depth++;
	note(bits(&mask), "%*shandler of %d, code %d, value %d", 2 * depth, "", signal, info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
	add_number(info->si_code);
	if (info->si_code == SI_QUEUE)
		add_number(info->si_value.sival_int);
	if (depth < 4 && rnd(2))
		one_step();
	depth--;
}

static void set_action(int signal)
{
	static const int flags[] = { SA_SIGINFO, SA_SIGINFO | SA_NODEFER, SA_SIGINFO | SA_RESTART };
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = flags[rnd(3)], .sa_mask = random_set() }, old;

	if (rnd(8) == 0) {
		action.sa_flags = 0;
		action.sa_handler = SIG_IGN;
	}
	note(sigaction(signal, &action, &old), "sigaction %d %x", signal, action.sa_flags);
	add_number(old.sa_flags & (SA_SIGINFO | SA_NODEFER | SA_RESTART));
	add_number(bits(&old.sa_mask));
}

static void one_step(void)
{
	const struct timespec none = { 0, 0 };
	int signal = signals[rnd(COUNT)], how;
	sigset_t set = random_set(), old, pending;
	siginfo_t info;

	switch (rnd(10)) {
	case 0:
	case 1:
		how = (int[]){ SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK }[rnd(3)];
		note(sigprocmask(how, &set, &old), "sigprocmask %d %lx", how, bits(&set));
		add_number(bits(&old));
		break;
	case 2:
	case 3:
		note(kill(getpid(), signal), "kill %d", signal);
		break;
	case 4:
		note(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal), "tgkill %d", signal);
		break;
	case 5:
	case 6:
		note(sigqueue(getpid(), signal, (union sigval){ .sival_int = rnd(1000) }), "sigqueue %d", signal);
		break;
	case 7:
		set_action(signal);
		break;
	case 8:
		note(sigpending(&pending), "sigpending");
		add_number(bits(&pending));
		break;
	default:
		memset(&info, 0, sizeof(info));
		how = sigtimedwait(&set, &info, &none);
		note(how, "sigtimedwait %lx: code %d", bits(&set), how > 0 ? info.si_code : 0);
		if (how > 0)
			add_number(info.si_code);
		break;
	}
}

int main(void)
{
	random_start();
	for (int i = 0; i < COUNT; i++)
		set_action(signals[i]);
	random_rounds(20, 250, one_step);
	return tst_done();
}
