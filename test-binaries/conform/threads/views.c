/* conform: libs=-lpthread */
/* What is seen of threads: /proc/self/task, names, CPU clocks of threads, time slices, stopping. */
#include "../tst.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static volatile int run = 1, ready;
static volatile pid_t tid;
static volatile unsigned long counts[2];

static void *spins(void *argument)
{
	long number = (long)argument;

	if (number == 0) {
		tid = syscall(SYS_gettid);
		prctl(PR_SET_NAME, "spinner-with-a-long-name");
	}
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (run)
		counts[number]++;
	return NULL;
}

static int tasks(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		count += *entry->d_name != '.';
	closedir(dir);
	return count;
}

int main(void)
{
	pthread_t threads[2];
	char path[64], text[4096], name[16];
	clockid_t clock;
	struct rusage usage;
	long long one, two, own;

	CHECK_EQ(tasks(), 1);
	for (long i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, spins, (void *)i))
			tst_brk("pthread_create");
	while (ready < 2)
		usleep(1000);
	CHECK_EQ(tasks(), 3);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	CHECK(tst_read_file(path, text, sizeof(text)) > 0, "a thread's comm");
	CHECK_STR(text, "spinner-with-a-\n");
	prctl(PR_GET_NAME, name);
	CHECK(strcmp(name, "spinner-with-a-") != 0, "the first thread has another name");
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	CHECK(tst_read_file(path, text, sizeof(text)) > 0, "a thread's status");
	CHECK(strstr(text, "Threads:\t3\n") != NULL, "three threads");

	CHECK_EQ(pthread_getcpuclockid(threads[0], &clock), 0);
	one = tst_now(clock);
	own = tst_now(CLOCK_THREAD_CPUTIME_ID);
	usleep(200000);
	two = tst_now(clock);
	CHECK(two - one > 20000000, "a busy thread's clock goes on while others sleep");
	CHECK(tst_now(CLOCK_THREAD_CPUTIME_ID) - own < 100000000, "that of a sleeping thread does not");
	CHECK(tst_now(CLOCK_PROCESS_CPUTIME_ID) >= two, "the process's counts them all");
	run = 0;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	CHECK(counts[0] && counts[1] && counts[0] / 20 < counts[1] && counts[1] / 20 < counts[0], "both had their share");
	CHECK(tst_now(CLOCK_PROCESS_CPUTIME_ID) >= two, "ended threads still count");
	CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
	CHECK_EQ(tasks(), 1);
	CHECK_EQ(sched_yield(), 0);
	return tst_done();
}
