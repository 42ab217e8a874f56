/* Terabytes reserved with PROT_NONE or MAP_NORESERVE, of which a few pages are used. */
#include "../tst.h"

int main(void)
{
	const size_t tebi = 1UL << 40;
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;
	char *none = MUST(mmap(NULL, 8 * tebi, PROT_NONE, anon | MAP_NORESERVE, -1, 0));
	char *some;

	tst_catch_faults();
	tst_pass("8 TiB of PROT_NONE");
	CHECK_EQ(TST_READ(none + 5 * tebi), SIGSEGV);
	CHECK_EQ(tst_fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ(mprotect(none + 5 * tebi, 16 * TST_PAGE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(TST_WRITE(none + 5 * tebi + 15 * TST_PAGE), 0);
	CHECK_EQ(TST_READ(none + 5 * tebi + 16 * TST_PAGE), SIGSEGV);
	CHECK_EQ(TST_READ(none + 5 * tebi - 1), SIGSEGV);
	CHECK_EQ(munmap(none, 8 * tebi), 0);

	some = MUST(mmap(NULL, tebi, PROT_READ | PROT_WRITE, anon | MAP_NORESERVE, -1, 0));
	for (size_t at = 0; at < tebi; at += tebi / 16)
		some[at] = 7;
	CHECK(some[tebi / 2] == 7 && some[tebi / 2 + 1] == 0, "1 TiB of MAP_NORESERVE, one page in each 64 GiB");
	CHECK_EQ(munmap(some, tebi), 0);
	return tst_done();
}
