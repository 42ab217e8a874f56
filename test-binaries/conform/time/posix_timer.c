/* timer_create(2) and its kin with one thread: signals with a value, intervals, overruns, deletion; and their errors. */
#include "../tst.h"

static volatile sig_atomic_t count;
static volatile sig_atomic_t code, value;

static void fired(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	code = info->si_code;
	value = info->si_value.sival_int;
	count++;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = fired, .sa_flags = SA_SIGINFO };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77 };
	const struct itimerspec once = { { 0, 0 }, { 0, 20000000 } }, often = { { 0, 5000000 }, { 0, 5000000 } };
	const struct itimerspec bad = { { 0, 0 }, { 0, 1000000000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct itimerspec now;
	sigset_t blocked;
	timer_t timer;

	MUST(sigaction(SIGRTMIN, &action, NULL));
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	CHECK_EQ(timer_settime(timer, 0, &once, NULL), 0);
	CHECK_EQ(timer_gettime(timer, &now), 0);
	CHECK(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 20000000, "the time that is left");
	while (!count)
		pause();
	CHECK_EQ(code, SI_TIMER);
	CHECK_EQ(value, 77);
	CHECK_EQ(timer_gettime(timer, &now), 0);
	CHECK(!now.it_value.tv_sec && !now.it_value.tv_nsec, "a single timer is over");

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGRTMIN);
	MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
	count = 0;
	CHECK_EQ(timer_settime(timer, 0, &often, NULL), 0);
	MUST(nanosleep(&(struct timespec){ 0, 60000000 }, NULL));
	MUST(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
	CHECK(count >= 1, "a signal that was blocked arrives once");
	CHECK(timer_getoverrun(timer) >= 5, "the others are counted as overrun");
	CHECK_EQ(timer_settime(timer, 0, &off, &now), 0);
	CHECK_EQ(now.it_interval.tv_nsec, 5000000);
	CHECK_ERR(timer_settime(timer, 0, &bad, NULL), EINVAL);
	CHECK_EQ(timer_delete(timer), 0);
	CHECK_ERR(timer_create(99, &event, &timer), EINVAL);
	return tst_done();
}
