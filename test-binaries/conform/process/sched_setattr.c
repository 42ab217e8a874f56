/* sched_setattr(2): sizes, flags, which parameters go with which policy, and what sched_getattr(2) then says. */
#include "tst.h"
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
	char beyond[64];
};

enum { OTHER = 0, FIFO = 1, RR = 2, BATCH = 3, ISO = 4, IDLE = 5 };
enum { RESET_ON_FORK = 1, KEEP_POLICY = 8, KEEP_PARAMS = 0x10 };

static struct attributes now;

static long set(uint32_t size, uint32_t policy, uint64_t flags, int nice, uint32_t priority)
{
	struct attributes wanted = { .size = size, .policy = policy, .flags = flags, .nice = nice, .priority = priority };
	long result = syscall(SYS_sched_setattr, 0, &wanted, 0);
	int error = errno;

	memset(&now, 0, sizeof(now));
	CHECK_EQ(syscall(SYS_sched_getattr, 0, &now, 56, 0), 0);
	errno = error;
	return result;
}

static int is(uint32_t policy, int nice, uint32_t priority, uint64_t flags)
{
	return now.policy == policy && now.nice == nice && now.priority == priority && now.flags == flags;
}

int main(void)
{
	struct attributes wanted = { .size = 40 };
	struct sched_param param = { .sched_priority = 3 };

	CHECK_EQ(set(48, OTHER, 0, 5, 0), 0);
	CHECK(is(OTHER, 5, 0, 0), "a nice value");
	CHECK_EQ(set(0, BATCH, 0, -5, 0), 0);
	CHECK(is(BATCH, -5, 0, 0), "size 0 is the first version's");
	CHECK_EQ(set(48, OTHER, 0, 50, 0), 0);
	CHECK(is(OTHER, 19, 0, 0), "nice values end at 19");
	CHECK_EQ(set(48, FIFO, 0, 0, 10), 0);
	CHECK(now.policy == FIFO && now.priority == 10, "a real-time priority");
	CHECK_ERR(set(48, FIFO, 0, 0, 0), EINVAL);
	CHECK_ERR(set(48, RR, 0, 0, 100), EINVAL);
	CHECK_ERR(set(48, OTHER, 0, 0, 3), EINVAL);
	CHECK_ERR(set(48, 9, 0, 0, 0), EINVAL);
	CHECK_ERR(set(48, ISO, 0, 0, 0), EINVAL);
	CHECK_ERR(set(48, 1u << 31, 0, 0, 0), EINVAL);
	CHECK(now.policy == FIFO && now.priority == 10, "refused ones change nothing");
	CHECK_EQ(set(48, OTHER, RESET_ON_FORK, 0, 0), 0);
	CHECK(is(OTHER, 0, 0, RESET_ON_FORK), "reset on fork");
	CHECK_EQ(set(48, 77, KEEP_POLICY | RESET_ON_FORK, 7, 0), 0);
	CHECK(is(OTHER, 7, 0, RESET_ON_FORK), "the policy is kept");
	CHECK_EQ(set(48, 77, KEEP_POLICY | KEEP_PARAMS, 3, 0), 0);
	CHECK_EQ(now.nice, 7);
	CHECK_ERR(set(48, 77, KEEP_POLICY | KEEP_PARAMS, 3, 55), EINVAL);
	CHECK_ERR(set(48, OTHER, 0x80, 0, 0), EINVAL);

	CHECK_ERR(syscall(SYS_sched_setattr, 0, &wanted, 0), E2BIG);
	CHECK_EQ(wanted.size, 56);
	wanted.size = 5000;
	CHECK_ERR(syscall(SYS_sched_setattr, 0, &wanted, 0), E2BIG);
	wanted.size = sizeof(wanted);
	CHECK_EQ(syscall(SYS_sched_setattr, 0, &wanted, 0), 0);
	wanted.size = sizeof(wanted);
	wanted.beyond[40] = 1;
	CHECK_ERR(syscall(SYS_sched_setattr, 0, &wanted, 0), E2BIG);
	CHECK_EQ(wanted.size, 56);
	CHECK_ERR(syscall(SYS_sched_setattr, 0, &wanted, 1), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setattr, -1, &wanted, 0), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setattr, 0, 8, 0), EFAULT);

	CHECK_EQ(set(48, OTHER, 0, 7, 0), 0);
	CHECK_EQ(syscall(SYS_sched_setscheduler, 0, RR, &param), 0);
	param.sched_priority = 0;
	CHECK_EQ(syscall(SYS_sched_setscheduler, 0, OTHER, &param), 0);
	CHECK_EQ(getpriority(0, 0), 7);
	return tst_done();
}
