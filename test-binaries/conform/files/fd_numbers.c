/* Descriptors are the lowest free number; RLIMIT_NOFILE bounds them with EMFILE. */
#include "../tst.h"

#include <sys/resource.h>

int main(void)
{
	struct rlimit limit;
	int ends[2], first, second, third;

	first = MUST(open("/dev/null", O_RDONLY));
	second = MUST(open("/dev/null", O_RDONLY));
	CHECK_EQ(second, first + 1);
	MUST(close(first));
	third = MUST(open("/dev/null", O_RDONLY));
	CHECK_EQ(third, first);
	MUST(close(0));
	CHECK_EQ(open("/dev/null", O_RDONLY), 0);
	CHECK_EQ(dup(1), second + 1);
	CHECK_EQ(close(second + 1), 0);

	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = second + 2;
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_EQ(open("/dev/null", O_RDONLY), second + 1);
	CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
	CHECK_ERR(dup(0), EMFILE);
	CHECK_ERR(fcntl(0, F_DUPFD, 0), EMFILE);
	CHECK_ERR(fcntl(0, F_DUPFD, second + 2), EINVAL);
	CHECK_ERR(dup2(0, second + 2), EBADF);
	CHECK_ERR(pipe(ends), EMFILE);
	MUST(close(second + 1));
	CHECK_ERR(pipe(ends), EMFILE);
	CHECK(open("/dev/null", O_RDONLY) == second + 1, "a pipe that failed leaves no descriptor behind");
	CHECK_ERR(close(second + 2), EBADF);
	CHECK_ERR(close(-1), EBADF);
	CHECK_EQ(close(second), 0);
	CHECK_ERR(close(second), EBADF);
	return tst_done();
}
