/* shm_open(3) in /dev/shm: shared mappings of one object, its size and removal. */
#include "../tst.h"

int main(void)
{
	char name[32], path[64];
	int one, two;
	char *first, *second;

	snprintf(name, sizeof(name), "/conform-%d", getpid());
	snprintf(path, sizeof(path), "/dev/shm%s", name);
	one = MUST(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
	CHECK_ERR(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	two = MUST(shm_open(name, O_RDWR, 0));
	CHECK_EQ(fcntl(two, F_GETFD), FD_CLOEXEC);
	MUST(ftruncate(one, 2 * TST_PAGE));
	first = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, one, 0));
	second = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, two, 0));
	strcpy(first + TST_PAGE, "shared");
	CHECK_STR(second + TST_PAGE, "shared");
	CHECK_EQ(access(path, F_OK), 0);
	CHECK_EQ(shm_unlink(name), 0);
	CHECK_ERR(shm_unlink(name), ENOENT);
	strcpy(second, "still");
	CHECK_STR(first, "still");
	return tst_done();
}
