/* conform: dynamic-only libs=-static-pie */
/* A static position-independent program relocates itself. */
#include "../tst.h"

#include <elf.h>
#include <sys/auxv.h>

extern const char __executable_start[];

static int target = 5;
static int *const pointers[] = { &target, NULL };

int main(void)
{
	const Elf64_Ehdr *header = (const void *)__executable_start;

	CHECK_EQ(header->e_type, ET_DYN);
	CHECK(pointers[0] == &target && *pointers[0] == 5, "pointers in constant data are relocated");
	CHECK(getauxval(AT_PHDR) == (uintptr_t)header + header->e_phoff, "AT_PHDR");
	CHECK_EQ(getauxval(AT_BASE), 0);
	tst_catch_faults();
	CHECK(TST_WRITE((char *)(uintptr_t)&pointers[1]) == SIGSEGV, "and read-only afterwards (PT_GNU_RELRO)");
	return tst_done();
}
