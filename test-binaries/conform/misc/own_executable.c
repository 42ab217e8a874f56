/* The program's own file: read, mapped, and as mapped by the loader, it is the same; it cannot be written while it runs. */
#include "../tst.h"

#include <elf.h>

extern const char __executable_start[];

int main(void)
{
	int fd = MUST(open("/proc/self/exe", O_RDONLY));
	struct stat status;
	char *map, *copy, path[PATH_MAX] = { 0 };
	size_t used = 0;
	ssize_t got;
	const Elf64_Ehdr *header = (const void *)__executable_start;

	MUST(fstat(fd, &status));
	copy = malloc(status.st_size + 1);
	map = MUST(mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0));
	while ((got = read(fd, copy + used, 10000)) > 0)
		used += got;
	CHECK(used == (size_t)status.st_size, "it can be read to its end");
	CHECK(!memcmp(map, copy, used), "a mapping shows the same");
	CHECK(!memcmp(copy, __executable_start, header->e_phoff + header->e_phnum * sizeof(Elf64_Phdr)),
	      "so do the headers in memory");
	for (int i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *entry = (const Elf64_Phdr *)(__executable_start + header->e_phoff) + i;
		const char *base = header->e_type == ET_DYN ? __executable_start : NULL;

		if (entry->p_type == PT_LOAD && (entry->p_flags & PF_X))
			CHECK(!memcmp(copy + entry->p_offset, base + entry->p_vaddr, entry->p_filesz), "so does the code");
	}
	MUST(readlink("/proc/self/exe", path, sizeof(path) - 1));
	CHECK_ERR(open(path, O_WRONLY), ETXTBSY);
	CHECK_ERR(open(path, O_RDWR), ETXTBSY);
	CHECK_ERR(truncate(path, 0), ETXTBSY);
	CHECK_EQ(access(path, X_OK), 0);
	return tst_done();
}
