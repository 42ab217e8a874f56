/* conform: libs=-lpthread */
/* SIGSTOP and SIGCONT without handlers: some calls fail with EINTR all the same, others go on (signal(7)). */
#include "../tst.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static volatile int ready;
static int event_fd, instance, ends[2];
static uint32_t word;
static long results[6];
static int errnos[6];

static long call(int number)
{
	struct epoll_event event;
	struct pollfd one = { .fd = event_fd, .events = POLLIN };
	struct timespec time = { 0, 400000000 };
	sigset_t set;
	char byte;

	switch (number) {
	case 0:
		return epoll_wait(instance, &event, 1, 400);
	case 1:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		/* musl's function tries again. */
		return syscall(SYS_rt_sigtimedwait, &set, NULL, &time, 8);
	case 2:
		return poll(&one, 1, 400);
	case 3:
		return read(ends[0], &byte, 1);
	case 4:
		return syscall(SYS_futex, &word, 0, 0, &time, NULL, 0);
	default:
		return nanosleep(&time, NULL);
	}
}

static void *calls(void *argument)
{
	int number = (intptr_t)argument;

	__sync_fetch_and_add(&ready, 1);
	results[number] = call(number);
	errnos[number] = errno;
	return NULL;
}

int main(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT };
	struct itimerspec time = { .it_value.tv_nsec = 100000000 };
	pthread_t threads[6];
	timer_t timer;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	event_fd = MUST(eventfd(0, 0));
	instance = MUST(epoll_create1(0));
	MUST(pipe(ends));
	MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
	for (int i = 0; i < 6; i++)
		if (pthread_create(&threads[i], NULL, calls, (void *)(intptr_t)i))
			tst_brk("pthread_create");
	while (ready < 6)
		usleep(1000);
	usleep(50000);
	MUST(timer_settime(timer, 0, &time, NULL));
	MUST(kill(getpid(), SIGSTOP));
	usleep(50000);
	MUST(write(ends[1], "x", 1));
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	CHECK(results[0] == -1 && errnos[0] == EINTR, "epoll_wait is interrupted");
	CHECK(results[1] == -1 && errnos[1] == EINTR, "so is sigtimedwait");
	CHECK_EQ(results[2], 0);
	CHECK_EQ(results[3], 1);
	CHECK(results[4] == -1 && errnos[4] == ETIMEDOUT, "futex goes on to its end");
	CHECK_EQ(results[5], 0);
	return tst_done();
}
