/* conform: libs=-no-pie */
/* A program at fixed addresses: AT_PHDR, AT_ENTRY and AT_BASE are those of the file. */
#include "../tst.h"

#include <elf.h>
#include <sys/auxv.h>

extern const char __executable_start[];
extern void _start(void);

int main(void)
{
	const Elf64_Ehdr *header = (const void *)__executable_start;

	CHECK((uintptr_t)__executable_start == 0x400000, "it is at 0x400000");
	CHECK_EQ(header->e_type, ET_EXEC);
	CHECK(getauxval(AT_PHDR) == (uintptr_t)__executable_start + header->e_phoff, "AT_PHDR");
	CHECK_EQ(getauxval(AT_PHNUM), header->e_phnum);
	CHECK(getauxval(AT_ENTRY) == header->e_entry && header->e_entry == (uintptr_t)_start, "AT_ENTRY");
	CHECK((uintptr_t)sbrk(0) > 0x400000, "the heap is behind it");
	return tst_done();
}
