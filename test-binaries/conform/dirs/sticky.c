/* In a sticky directory only owners remove and rename, as in /tmp. */
#include "../tst.h"

static void check(const char *dir)
{
	struct stat status;

	(void)dir;
	if (geteuid())
		tst_conf("needs root");
	MUST(mkdir("sticky", 0));
	MUST(chmod("sticky", 01777));
	tst_file("sticky/roots", "");
	MUST(seteuid(1234));
	CHECK_ERR(unlink("sticky/roots"), EPERM);
	CHECK_ERR(rename("sticky/roots", "sticky/mine"), EPERM);
	int fd = MUST(open("sticky/mine", O_WRONLY | O_CREAT, 0600));
	close(fd);
	CHECK_ERR(rename("sticky/mine", "sticky/roots"), EPERM);
	CHECK_EQ(rename("sticky/mine", "sticky/renamed"), 0);
	MUST(stat("sticky/renamed", &status));
	CHECK_EQ(status.st_uid, 1234);
	CHECK_EQ(unlink("sticky/renamed"), 0);
	MUST(seteuid(0));
	MUST(stat("/tmp", &status));
	CHECK_EQ(status.st_mode, S_IFDIR | 01777);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
