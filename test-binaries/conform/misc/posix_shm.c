/* shm_open(3) in /dev/shm: shared mappings of one object, its size and removal. */
#include "../tst.h"

int main(void)
{
	int one, two;
	char *first, *second;

	shm_unlink("/conform-shm");
	one = MUST(shm_open("/conform-shm", O_RDWR | O_CREAT | O_EXCL, 0600));
	CHECK_ERR(shm_open("/conform-shm", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	two = MUST(shm_open("/conform-shm", O_RDWR, 0));
	CHECK_EQ(fcntl(two, F_GETFD), FD_CLOEXEC);
	MUST(ftruncate(one, 2 * TST_PAGE));
	first = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, one, 0));
	second = MUST(mmap(NULL, 2 * TST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, two, 0));
	strcpy(first + TST_PAGE, "shared");
	CHECK_STR(second + TST_PAGE, "shared");
	CHECK_EQ(access("/dev/shm/conform-shm", F_OK), 0);
	CHECK_EQ(shm_unlink("/conform-shm"), 0);
	CHECK_ERR(shm_unlink("/conform-shm"), ENOENT);
	strcpy(second, "still");
	CHECK_STR(first, "still");
	return tst_done();
}
