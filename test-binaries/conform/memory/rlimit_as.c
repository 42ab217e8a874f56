/* RLIMIT_AS and RLIMIT_DATA: mmap and brk fail with ENOMEM beyond them. */
#include "../tst.h"

#include <sys/resource.h>

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	struct rlimit limit, all = { RLIM_INFINITY, RLIM_INFINITY };
	char *now = sbrk(0);

	limit = all;
	limit.rlim_cur = 256 << 20;
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
	CHECK_ERR(mmap(NULL, 512 << 20, PROT_NONE, anon, -1, 0), ENOMEM);
	CHECK_OK(mmap(NULL, 16 << 20, PROT_NONE, anon, -1, 0));
	MUST(setrlimit(RLIMIT_AS, &all));
	CHECK_OK(mmap(NULL, 512 << 20, PROT_NONE, anon, -1, 0));

	limit.rlim_cur = 64 << 20;
	CHECK_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
	CHECK((void *)syscall(SYS_brk, now + (128 << 20)) == now, "brk beyond RLIMIT_DATA changes nothing");
	CHECK_ERR(mmap(NULL, 128 << 20, rw, anon, -1, 0), ENOMEM);
	CHECK_OK(mmap(NULL, 128 << 20, PROT_READ, anon, -1, 0));
	return tst_done();
}
