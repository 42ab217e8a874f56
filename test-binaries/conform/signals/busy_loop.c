/* A signal reaches a loop that makes no system call, and registers survive a thousand of them. */
#include "../tst.h"

#include <sys/time.h>

static volatile sig_atomic_t count;

static void handler(int signal)
{
	(void)signal;
	count++;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	const struct itimerval timer = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
	unsigned long one = 1, two = 2, three = 3, four = 4, five = 5;
	double x = 1, y = 2;
	int wrong = 0;

	MUST(sigaction(SIGALRM, &action, NULL));
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
	while (count < 100) {
		for (int i = 0; i < 1000; i++) {
			one += two ^ i;
			two += three;
			three ^= four << 1;
			four += five;
			five += i;
			x = x * 0.5 + y;
			y = y * 0.25 + 1;
		}
		/* The same again, backwards. */
		for (int i = 999; i >= 0; i--) {
			five -= i;
			four -= five;
			three ^= four << 1;
			two -= three;
			one -= two ^ i;
		}
		wrong += one != 1 || two != 2 || three != 3 || four != 4 || five != 5 || !(x < 4 && y < 4);
	}
	MUST(setitimer(ITIMER_REAL, &off, NULL));
	CHECK_EQ(wrong, 0);
	return tst_done();
}
