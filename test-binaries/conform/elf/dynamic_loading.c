/* conform: dynamic-only libs=-ldl */
/* dlopen(3) of a library that the C library itself opens at run time (so it is in every image), symbols by name, dl_iterate_phdr, lazy binding through the PLT. */
#include "../tst.h"

#include <dlfcn.h>
#include <link.h>

static int objects, with_libc;

static int count(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	objects++;
	with_libc += strstr(info->dlpi_name, "libc.so") != NULL;
	return 0;
}

int main(void)
{
	int (*count_bits)(long);
	void *library;
	int before;

	dl_iterate_phdr(count, NULL);
	before = objects;
	CHECK(objects >= 2 && with_libc == 1, "the program and the C library are loaded");
	library = dlopen("libgcc_s.so.1", RTLD_LAZY);
	CHECK(library != NULL, "libgcc_s.so.1 can be loaded");
	count_bits = library ? (int (*)(long))dlsym(library, "__popcountdi2") : NULL;
	CHECK(count_bits && count_bits(0xff) == 8, "and a function of it be called");
	objects = with_libc = 0;
	dl_iterate_phdr(count, NULL);
	CHECK_EQ(objects, before + 1);
	CHECK(dlopen("libmissing.so.99", RTLD_NOW) == NULL, "a library that is not there");
	CHECK(strstr(dlerror(), "libmissing.so.99"), "dlerror names it");
	CHECK_EQ(library ? dlclose(library) : -1, 0);
	return tst_done();
}
