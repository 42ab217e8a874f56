/* mmap(2) of anonymous memory: zeroed, private, at a hint, replaced by MAP_FIXED; and its errors. */
#include "../tst.h"

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *area, *again;
	size_t sum = 0;

	tst_catch_faults();
	area = MUST(mmap(NULL, 16 * TST_PAGE, rw, anon, -1, 0));
	CHECK((uintptr_t)area % TST_PAGE == 0, "address is a multiple of the page size");
	for (size_t i = 0; i < 16 * TST_PAGE; i++)
		sum += area[i];
	CHECK_EQ(sum, 0);
	memset(area, 0x5a, 16 * TST_PAGE);

	again = MUST(mmap(area + 4 * TST_PAGE, TST_PAGE, rw, anon | MAP_FIXED, -1, 0));
	CHECK(again == area + 4 * TST_PAGE, "MAP_FIXED gives the address asked for");
	CHECK(again[0] == 0 && again[TST_PAGE - 1] == 0, "MAP_FIXED replaces what was there");
	CHECK(area[4 * TST_PAGE - 1] == 0x5a && area[5 * TST_PAGE] == 0x5a, "MAP_FIXED leaves the neighbours alone");

	CHECK_EQ(munmap(area, 16 * TST_PAGE), 0);
	CHECK_EQ(TST_READ(area), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_MAPERR);
	CHECK(tst_fault_info.si_addr == area, "si_addr is the address");

	again = MUST(mmap(area, TST_PAGE, rw, anon, -1, 0));
	CHECK(again == area, "a free hint is followed");
	area = MUST(mmap(again, TST_PAGE, rw, anon, -1, 0));
	CHECK(area != again, "an occupied hint is not");
	area = MUST(mmap(NULL, 100, rw, anon, -1, 0));
	CHECK_EQ(TST_WRITE(area + TST_PAGE - 1), 0);

	area = MUST(mmap(NULL, TST_PAGE, rw, anon | MAP_POPULATE, -1, 0));
	CHECK_EQ(area[5], 0);
	area = MUST(mmap(NULL, TST_PAGE, rw, anon, 12345, 0));
	CHECK(area[0] == 0, "the descriptor does not matter for anonymous memory");

	CHECK_ERR(mmap(NULL, 0, rw, anon, -1, 0), EINVAL);
	CHECK_ERR(mmap(NULL, TST_PAGE, rw, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERR(mmap((void *)0x12345, TST_PAGE, rw, anon | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERR(syscall(SYS_mmap, NULL, TST_PAGE, rw, anon, -1, 1), EINVAL);
	CHECK_ERR(mmap(NULL, TST_PAGE, rw, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERR(mmap(NULL, 1UL << 47, rw, anon, -1, 0), ENOMEM);
	CHECK_ERR(syscall(SYS_mmap, NULL, -1L, rw, anon, -1, 0), ENOMEM);
	CHECK_ERR(mmap((void *)(1UL << 47), TST_PAGE, rw, anon | MAP_FIXED, -1, 0), ENOMEM);
	return tst_done();
}
