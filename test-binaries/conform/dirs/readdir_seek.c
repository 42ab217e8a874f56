/* readdir(3) with telldir, seekdir and rewinddir; removing while reading; 2000 entries. */
#include "../tst.h"

static void check(const char *dir)
{
	char name[64], third[256];
	struct dirent *entry;
	int count = 0;
	long place = 0;
	DIR *stream;

	(void)dir;
	MUST(mkdir("many", 0755));
	MUST(chdir("many"));
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "a-rather-long-name-of-an-entry-%d", i);
		int fd = MUST(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600));
		close(fd);
	}
	stream = opendir(".");
	if (!stream)
		tst_brk("opendir: %s", tst_errno(errno));
	while ((entry = readdir(stream)))
		if (++count == 100)
			place = telldir(stream);
		else if (count == 101)
			snprintf(third, sizeof(third), "%s", entry->d_name);
	CHECK_EQ(count, 2002);
	seekdir(stream, place);
	entry = readdir(stream);
	CHECK(entry && !strcmp(entry->d_name, third), "seekdir returns to the same entry");
	rewinddir(stream);
	count = 0;
	while ((entry = readdir(stream)))
		if (entry->d_name[0] != '.')
			count += !unlink(entry->d_name);
	CHECK(count == 2000, "every entry is met while each is being removed");
	closedir(stream);
	MUST(chdir(".."));
	CHECK_EQ(rmdir("many"), 0);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
