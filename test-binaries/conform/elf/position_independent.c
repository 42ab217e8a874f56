/* conform: dynamic-only libs=-pie */
/* A position-independent program: its load address is that of AT_PHDR and AT_ENTRY, its interpreter's that of AT_BASE. */
#include "../tst.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern const char __executable_start[];
extern void _start(void);

int main(void)
{
	const Elf64_Ehdr *header = (const void *)__executable_start;
	const Elf64_Ehdr *loader = (const void *)getauxval(AT_BASE);
	const Elf64_Phdr *table = (const void *)getauxval(AT_PHDR);
	const char *interpreter = NULL;

	CHECK_EQ(header->e_type, ET_DYN);
	CHECK((uintptr_t)__executable_start % TST_PAGE == 0, "it starts at a page");
	CHECK((uintptr_t)table == (uintptr_t)header + header->e_phoff, "AT_PHDR");
	CHECK(getauxval(AT_ENTRY) == (uintptr_t)header + header->e_entry && getauxval(AT_ENTRY) == (uintptr_t)_start, "AT_ENTRY");
	CHECK(loader && !memcmp(loader->e_ident, ELFMAG, SELFMAG) && loader->e_type == ET_DYN, "AT_BASE is the interpreter's header");
	for (unsigned i = 0; i < header->e_phnum; i++)
		if (table[i].p_type == PT_INTERP)
			interpreter = (const char *)header + table[i].p_vaddr;
	CHECK_STR(interpreter ? interpreter : "none", "/lib64/ld-linux-x86-64.so.2");
	CHECK(_r_debug.r_map && _r_debug.r_map->l_addr == (uintptr_t)header, "the loader knows the load address");
	return tst_done();
}
