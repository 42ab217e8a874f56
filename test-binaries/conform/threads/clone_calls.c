/* clone(2) and clone3(2) without a C library's help: what they refuse, tids, TLS, stacks, CLONE_CHILD_CLEARTID; no descriptors shared without
   CLONE_FILES. */
#include "../tst.h"
#include <sched.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#define F(name, value) static const unsigned long name = value
F(VM, 0x100);
F(FS, 0x200);
F(FILES, 0x400);
F(SIGHAND, 0x800);
F(THREAD, 0x10000);
F(NEWNS, 0x20000);
F(SYSVSEM, 0x40000);
F(PARENT_SETTID, 0x100000);
F(CHILD_CLEARTID, 0x200000);
F(DETACHED, 0x400000);
F(CHILD_SETTID, 0x1000000);
F(NEWUSER, 0x10000000);

struct args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup, more;
};

static char stack[65536] __attribute__((aligned(16)));
static volatile int parent_tid, child_tid, result, seen_tid;
static int fds;

/* The child calls this on its new stack; only system calls by hand, as it has the parent's TLS. */
static long raw(long number, long a, long b, long c)
{
	long value;

	__asm__ volatile("syscall" : "=a"(value) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return value;
}

__attribute__((noreturn, used)) static void child(void)
{
	result = raw(SYS_gettid, 0, 0, 0);
	seen_tid = child_tid;
	if (fds)
		raw(SYS_close, fds, 0, 0);
	raw(SYS_exit, 0, 0, 0);
	__builtin_unreachable();
}

static long start(struct args *args, size_t size)
{
	long value;

	__asm__ volatile("syscall\n"
			 "test %%rax, %%rax\n"
			 "jnz 1f\n"
			 "xor %%ebp, %%ebp\n"
			 "call child\n"
			 "1:\n"
			 : "=a"(value)
			 : "a"(SYS_clone3), "D"(args), "S"(size)
			 : "rcx", "r11", "memory");
	if (value < 0) {
		errno = -value;
		return -1;
	}
	return value;
}

static void wait_end(void)
{
	for (int i = 0; i < 4000 && child_tid; i++)
		usleep(500);
}

static long flags_of(unsigned long flags)
{
	struct args args = { .flags = flags };

	return start(&args, 64);
}

int main(void)
{
	const unsigned long all = VM | FS | FILES | SIGHAND | THREAD | SYSVSEM;
	struct args args = { .flags = all | PARENT_SETTID | CHILD_SETTID | CHILD_CLEARTID,
			     .child_tid = (uintptr_t)&child_tid,
			     .parent_tid = (uintptr_t)&parent_tid,
			     .stack = (uintptr_t)stack,
			     .stack_size = sizeof(stack) };
	struct args changed;
	long tid;

	CHECK_ERR(start(&args, 63), EINVAL);
	CHECK_ERR(start(&args, 4097), E2BIG);
	CHECK_ERR(start(TST_BAD, 64), EFAULT);
	changed = args;
	changed.more = 1;
	CHECK_ERR(start(&changed, sizeof(changed)), E2BIG);
	changed = args;
	changed.exit_signal = SIGCHLD;
	CHECK_ERR(start(&changed, 64), EINVAL);
	changed.exit_signal = 65;
	CHECK_ERR(start(&changed, 64), EINVAL);
	changed = args;
	changed.stack = 0;
	CHECK_ERR(start(&changed, 64), EINVAL);
	changed = args;
	changed.stack_size = 0;
	CHECK_ERR(start(&changed, 64), EINVAL);
	changed.stack_size = -4096;
	CHECK_ERR(start(&changed, 64), EINVAL);
	changed = args;
	changed.set_tid_size = 1;
	CHECK_ERR(start(&changed, 88), EINVAL);
	CHECK_ERR(flags_of(THREAD | VM), EINVAL);
	CHECK_ERR(flags_of(SIGHAND), EINVAL);
	CHECK_ERR(flags_of(FS | NEWNS), EINVAL);
	CHECK_ERR(flags_of(FS | NEWUSER), EINVAL);
	CHECK_ERR(flags_of(all | NEWUSER), EINVAL);
	CHECK_ERR(flags_of(all | DETACHED), EINVAL);
	CHECK_ERR(flags_of(all | 1), EINVAL);
	CHECK_ERR(flags_of(all | 1UL << 34), EINVAL);
	CHECK_ERR(flags_of(all | 1UL << 32), EINVAL);
	CHECK_ERR(syscall(SYS_clone, THREAD | VM, 0, 0, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone, SIGHAND, 0, 0, 0, 0), EINVAL);

	child_tid = -1;
	tid = start(&args, 64);
	CHECK(tid > 0 && tid != getpid(), "clone3 gives a tid");
	CHECK(parent_tid == tid, "CLONE_PARENT_SETTID");
	wait_end();
	CHECK_EQ(child_tid, 0);
	CHECK(result == tid, "gettid of the child");
	CHECK(seen_tid == tid, "CLONE_CHILD_SETTID");

	/* Without CLONE_FILES the child closes its own descriptor. */
	fds = MUST(dup(1));
	changed = args;
	changed.flags &= ~FILES;
	child_tid = -1;
	CHECK(start(&changed, 64) > 0, "clone3 without CLONE_FILES");
	wait_end();
	CHECK_OK(fcntl(fds, F_GETFD));
	child_tid = -1;
	CHECK(start(&args, sizeof(args)) > 0, "clone3 with a longer structure");
	wait_end();
	CHECK_ERR(fcntl(fds, F_GETFD), EBADF);
	return tst_done();
}
