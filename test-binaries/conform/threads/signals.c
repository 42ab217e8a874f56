/* conform: libs=-lpthread */
/* Signals and threads: to one thread, to the process with some threads blocking them, masks and alternate stacks of each thread,
   what tgkill and tkill refuse. */
#include "../tst.h"
#include <pthread.h>

static pid_t worker_tid, handled_by;
static volatile int state, go_on, code_seen, value_seen, on_alt_stack;
static char alt_stack[65536] __attribute__((aligned(16)));

static void wait_for(int wanted)
{
	while (__atomic_load_n(&state, __ATOMIC_SEQ_CST) != wanted)
		usleep(500);
}

static void handler(int signal, siginfo_t *info, void *context)
{
	char here;

	(void)signal;
	(void)context;
	handled_by = syscall(SYS_gettid);
	code_seen = info->si_code;
	value_seen = info->si_value.sival_int;
	on_alt_stack = &here > alt_stack && &here < alt_stack + sizeof(alt_stack);
	__atomic_add_fetch(&state, 1, __ATOMIC_SEQ_CST);
}

static void *worker(void *argument)
{
	sigset_t set, inherited;
	stack_t stack = { .ss_sp = alt_stack, .ss_size = sizeof(alt_stack) }, old;
	siginfo_t info;

	(void)argument;
	pthread_sigmask(SIG_SETMASK, NULL, &inherited);
	CHECK_EQ(sigismember(&inherited, SIGUSR2), 1);
	CHECK_EQ(sigismember(&inherited, SIGUSR1), 0);
	CHECK_OK(sigaltstack(NULL, &old));
	CHECK_EQ(old.ss_flags, SS_DISABLE);
	CHECK_OK(sigaltstack(&stack, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	worker_tid = syscall(SYS_gettid);
	state = 1;
	while (!go_on)
		usleep(500);
	/* A process-directed signal wakes a thread that waits for it. */
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	state = 5;
	CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN + 3);
	CHECK_EQ(info.si_value.sival_int, 42);
	state = 6;
	/* An interrupted sleep. */
	struct timespec long_time = { .tv_sec = 100 };
	state = 7;
	CHECK_ERR(nanosleep(&long_time, NULL), EINTR);
	return NULL;
}

static void *nothing(void *argument)
{
	return argument;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigset_t set;
	pthread_t thread;
	union sigval value = { .sival_int = 42 };
	stack_t stack;

	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGUSR2, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 3);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, worker, NULL))
		tst_brk("pthread_create");
	wait_for(1);
	CHECK_OK(sigaltstack(NULL, &stack));
	CHECK_EQ(stack.ss_flags, SS_DISABLE);

	CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
	wait_for(2);
	CHECK(handled_by == worker_tid, "the thread that was meant has it");
	CHECK_EQ(code_seen, SI_TKILL);
	CHECK_EQ(on_alt_stack, 1);

	/* Blocked here, so the other one takes it. */
	CHECK_OK(kill(getpid(), SIGUSR2));
	wait_for(3);
	CHECK(handled_by == worker_tid, "the thread that does not block it has it");
	CHECK_EQ(code_seen, SI_USER);

	CHECK_OK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
	CHECK_EQ(state, 4);
	CHECK(handled_by == getpid(), "a signal to oneself is there on return");
	CHECK_EQ(on_alt_stack, 0);

	go_on = 1;
	wait_for(5);
	usleep(10000);
	/* Without lines of their own: the other thread writes its at the same time. */
	if (sigqueue(getpid(), SIGRTMIN + 3, value))
		tst_brk("sigqueue");
	wait_for(7);
	usleep(20000);
	if (syscall(SYS_tkill, worker_tid, SIGUSR1))
		tst_brk("tkill");
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(state, 8);

	CHECK_ERR(syscall(SYS_tgkill, getpid() + 1000000, worker_tid, 0), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL);
	CHECK_ERR(syscall(SYS_tgkill, 0, getpid(), 0), EINVAL);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
	CHECK_OK(syscall(SYS_tgkill, getpid(), getpid(), 0));

	/* Pending for the process while all block it: delivered when one unblocks. */
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		tst_brk("pthread_create");
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(state, 8);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	CHECK_EQ(state, 9);
	return tst_done();
}
