/* sched_getaffinity(2), sched_yield(2), getpriority(2), setpriority(2), sched_getscheduler(2), getcpu(2); and their errors. */
#include "../tst.h"

#include <sched.h>
#include <sys/resource.h>

int main(void)
{
	unsigned long mask[16] = { 0 };
	struct sched_param param = { .sched_priority = -1 };
	unsigned cpu = 9999, node = 9999;
	long size = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	int bits = 0;

	CHECK(size >= 8 && size % 8 == 0, "the size of the kernel's mask");
	for (int i = 0; i < 16; i++)
		bits += __builtin_popcountl(mask[i]);
	CHECK(bits >= 1, "at least one CPU");
	CHECK_EQ(sysconf(_SC_NPROCESSORS_ONLN), bits);
	CHECK_EQ(syscall(SYS_sched_setaffinity, 0, size, mask), 0);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 1, mask), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0x3fffffff, sizeof(mask), mask), ESRCH);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, sizeof(mask), TST_BAD), EFAULT);
	memset(mask, 0, sizeof(mask));
	CHECK_ERR(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), EINVAL);
	CHECK_EQ(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
	CHECK(cpu < 4096 && node < 4096, "getcpu names a CPU and a node");
	CHECK_EQ(syscall(SYS_getcpu, NULL, NULL, NULL), 0);
	CHECK_ERR(syscall(SYS_getcpu, TST_BAD, NULL, NULL), EFAULT);
	CHECK_EQ(sched_yield(), 0);

	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
	CHECK_EQ(syscall(SYS_sched_getparam, 0, &param), 0);
	CHECK_EQ(param.sched_priority, 0);
	CHECK_EQ(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
	CHECK_EQ(syscall(SYS_sched_get_priority_min, SCHED_FIFO), 1);
	CHECK_EQ(syscall(SYS_sched_get_priority_max, SCHED_OTHER), 0);
	CHECK_ERR(syscall(SYS_sched_get_priority_max, 99), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getscheduler, -1), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getparam, 0, NULL), EINVAL);

	CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 5), 0);
	CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 15);
	CHECK_EQ(getpriority(PRIO_PROCESS, getpid()), 5);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 100), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_ERR(setpriority(99, 0, 0), EINVAL);
	CHECK_ERR(setpriority(PRIO_PROCESS, 0x3fffffff, 0), ESRCH);
	return tst_done();
}
