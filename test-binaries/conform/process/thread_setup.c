/* set_tid_address(2), set_robust_list(2), get_robust_list(2), rseq(2): what a C library calls at its start; and their errors. */
#include "../tst.h"

#include <sched.h>

int main(void)
{
	static struct {
		void *next;
		long offset;
		void *pending;
	} head = { &head, 0, NULL };
	static struct {
		uint32_t cpu_start, cpu;
		uint64_t section;
		uint32_t flags, rest[3];
	} __attribute__((aligned(32))) area, other;
	static int id;
	void *got = NULL;
	size_t size = 0;
	long result;

	CHECK(syscall(SYS_set_tid_address, &id) == getpid(), "set_tid_address gives the thread's id");
	CHECK_EQ(syscall(SYS_set_robust_list, &head, sizeof(head)), 0);
	CHECK_EQ(syscall(SYS_get_robust_list, 0, &got, &size), 0);
	CHECK(got == &head && size == sizeof(head), "the robust list reads back");
	CHECK_ERR(syscall(SYS_set_robust_list, &head, 1), EINVAL);
	CHECK_ERR(syscall(SYS_get_robust_list, 0x3fffffff, &got, &size), ESRCH);

	result = syscall(SYS_rseq, &area, 32, 0, 0x53053053);
	if (result && (errno == EINVAL || errno == EBUSY)) {
		/* The C library has registered its own area, which cannot be replaced. */
		CHECK_ERR(syscall(SYS_rseq, (char *)&area + 4, 32, 0, 0x53053053), EINVAL);
	} else {
		CHECK(result == 0, "rseq registers an area");
		MUST(sched_yield());
		CHECK(area.cpu == area.cpu_start && (int)area.cpu >= 0, "which then holds the CPU's number");
		CHECK_ERR(syscall(SYS_rseq, &area, 32, 0, 0x53053053), EBUSY);
		CHECK_ERR(syscall(SYS_rseq, &other, 32, 0, 0x53053053), EINVAL);
		CHECK_ERR(syscall(SYS_rseq, &area, 32, 1, 0x12345678), EPERM);
		CHECK_EQ(syscall(SYS_rseq, &area, 32, 1, 0x53053053), 0);
		CHECK_ERR(syscall(SYS_rseq, &area, 32, 4, 0x53053053), EINVAL);
		CHECK_ERR(syscall(SYS_rseq, (char *)&area + 4, 32, 0, 0x53053053), EINVAL);
	}
	return tst_done();
}
