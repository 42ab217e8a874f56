/* conform: dynamic-only libs=-ldl */
/* dlopen(3) of the mathematics library, symbols by name, dl_iterate_phdr, lazy binding through the PLT. */
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
	double (*cosine)(double);
	void *library;
	int before;

	dl_iterate_phdr(count, NULL);
	before = objects;
	CHECK(objects >= 2 && with_libc == 1, "the program and the C library are loaded");
	library = dlopen("libm.so.6", RTLD_LAZY);
	CHECK(library != NULL, "libm.so.6 can be loaded");
	cosine = library ? (double (*)(double))dlsym(library, "cos") : NULL;
	CHECK(cosine && cosine(0) == 1, "and its cos be called");
	objects = with_libc = 0;
	dl_iterate_phdr(count, NULL);
	CHECK_EQ(objects, before + 1);
	CHECK(dlopen("libmissing.so.99", RTLD_NOW) == NULL, "a library that is not there");
	CHECK(strstr(dlerror(), "libmissing.so.99"), "dlerror names it");
	CHECK_EQ(library ? dlclose(library) : -1, 0);
	return tst_done();
}
