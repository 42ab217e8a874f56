/*
 * For `cargo xtask idle`: a program that waits. idle [THREADS]: so many threads, blocked in turn on a futex, a pipe and an epoll
 * instance; when all are, a line; then the first thread sleeps until somebody ends the machine.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int word, started, files[2], instance;

static void *waiter(void *argument)
{
	struct epoll_event event;
	char byte;

	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	switch ((long)argument % 3) {
	case 0:
		syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0);
		break;
	case 1:
		if (read(files[0], &byte, 1) < 0)
			perror("read");
		break;
	case 2:
		epoll_wait(instance, &event, 1, -1);
		break;
	}
	/* Nothing ever wakes it. */
	fprintf(stderr, "a thread was woken\n");
	exit(1);
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 0;
	struct timespec moment = { 0, 20000000 }, day = { 86400, 0 };
	struct epoll_event event = { EPOLLIN, { 0 } };
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 32 * 1024);
	if (pipe(files) || (instance = epoll_create1(0)) < 0 || epoll_ctl(instance, EPOLL_CTL_ADD, files[0], &event))
		return 1;
	for (long i = 0; i < threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, &attributes, waiter, (void *)i)) {
			fprintf(stderr, "thread %ld cannot be started\n", i);
			return 1;
		}
	}
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < threads)
		nanosleep(&moment, NULL);
	puts("waiting");
	fflush(stdout);
	nanosleep(&day, NULL);
	return 1;
}
