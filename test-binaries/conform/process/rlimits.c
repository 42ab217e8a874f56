/* getrlimit(2), setrlimit(2), prlimit64(2): every resource, soft and hard limits, and their errors. */
#include "../tst.h"

#include <sys/resource.h>

struct limit {
	uint64_t soft, hard;
};

static long prlimit_of(int pid, int resource, const struct limit *new, struct limit *old)
{
	return syscall(SYS_prlimit64, pid, resource, new, old);
}

int main(void)
{
	struct rlimit limit;
	struct limit one, two;
	int wrong = 0;

	for (int resource = 0; resource < 16; resource++)
		wrong += getrlimit(resource, &limit) != 0 || limit.rlim_cur > limit.rlim_max;
	CHECK(!wrong, "all sixteen resources, no soft limit above its hard one");
	MUST(getrlimit(RLIMIT_STACK, &limit));
	CHECK_EQ(limit.rlim_cur, 8 << 20);
	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	CHECK(limit.rlim_cur >= 1024, "at least 1024 descriptors");
	MUST(getrlimit(RLIMIT_CORE, &limit));
	CHECK_EQ(limit.rlim_cur, 0);

	one = (struct limit){ 100, 200 };
	CHECK_EQ(prlimit_of(0, RLIMIT_NOFILE, &one, &two), 0);
	CHECK(two.soft >= 1024, "the old limit is given back");
	CHECK_EQ(prlimit_of(getpid(), RLIMIT_NOFILE, NULL, &two), 0);
	CHECK(two.soft == 100 && two.hard == 200, "the new one is in force");
	CHECK_EQ(sysconf(_SC_OPEN_MAX), 100);
	limit = (struct rlimit){ 200, 100 };
	CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
	CHECK_ERR(prlimit_of(0, 16, NULL, &two), EINVAL);
	CHECK_ERR(prlimit_of(0x3fffffff, RLIMIT_NOFILE, NULL, &two), ESRCH);
	CHECK_ERR(prlimit_of(0, RLIMIT_NOFILE, TST_BAD, NULL), EFAULT);
	CHECK_ERR(prlimit_of(0, RLIMIT_NOFILE, NULL, TST_BAD), EFAULT);
	one = (struct limit){ 0, RLIM_INFINITY };
	CHECK_ERR(prlimit_of(0, RLIMIT_NOFILE, &one, NULL), EPERM);
	if (geteuid())
		tst_conf("the rest needs root");
	MUST(prlimit_of(0, RLIMIT_CPU, NULL, &two));
	one = (struct limit){ 1000, 2000 };
	CHECK_EQ(prlimit_of(0, RLIMIT_CPU, &one, NULL), 0);
	MUST(seteuid(1234));
	one.hard = 4000;
	CHECK_ERR(prlimit_of(0, RLIMIT_CPU, &one, NULL), EPERM);
	one.hard = 1500;
	CHECK_EQ(prlimit_of(0, RLIMIT_CPU, &one, NULL), 0);
	return tst_done();
}
