/* RLIMIT_FSIZE: writes up to the limit, then SIGXFSZ and EFBIG. */
#include "../tst.h"

#include <sys/resource.h>

static volatile int signals;

static void count(int signal, siginfo_t *info, void *context)
{
	(void)context;
	/* As if the process had sent it to itself. */
	signals += signal == SIGXFSZ && info->si_code == SI_USER && info->si_pid == getpid();
}

static void check(const char *dir)
{
	const struct sigaction action = { .sa_sigaction = count, .sa_flags = SA_SIGINFO };
	const struct rlimit small = { 100, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
	char data[200] = { 0 };
	long first, second, third, last, at_limit, signals_of_write, truncates, too_long, over, cut;
	int fd, third_errno, truncate_errno, over_errno;

	(void)dir;
	MUST(sigaction(SIGXFSZ, &action, NULL));
	signals = 0;
	fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	/* Nothing is printed while the limit holds: standard output may be a file. */
	MUST(setrlimit(RLIMIT_FSIZE, &small));
	first = write(fd, data, 60);
	second = write(fd, data, 60);
	third = write(fd, data, 1);
	third_errno = errno;
	signals_of_write = signals;
	too_long = ftruncate(fd, 101);
	truncate_errno = errno;
	truncates = signals - signals_of_write;
	at_limit = ftruncate(fd, 100);
	over = pwrite(fd, data, 10, 100);
	over_errno = errno;
	cut = pwrite(fd, data, 10, 95);
	MUST(setrlimit(RLIMIT_FSIZE, &all));
	last = write(fd, data, 200);

	CHECK_EQ(first, 60);
	CHECK_EQ(second, 40);
	CHECK(third == -1 && third_errno == EFBIG, "EFBIG at the limit");
	CHECK_EQ(signals_of_write, 1);
	CHECK(too_long == -1 && truncate_errno == EFBIG, "ftruncate beyond it is EFBIG");
	CHECK_EQ(truncates, 1);
	CHECK_EQ(at_limit, 0);
	CHECK(over == -1 && over_errno == EFBIG, "pwrite beyond it too");
	CHECK_EQ(cut, 5);
	CHECK(last == 200, "without the limit all is written");
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
