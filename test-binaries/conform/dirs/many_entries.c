/* A directory of thousands: read in small pieces, emptied while it is read, entries made and renamed meanwhile; telldir positions. */
#include "../tst.h"

#define ENTRIES 3000

static void check(const char *dir)
{
	static char seen[ENTRIES];
	char name[256], buffer[200];
	struct dirent *entry;
	struct stat status;
	int folder, found = 0, twice = 0, strange = 0, removed = 0, number;
	long length;
	DIR *list;

	(void)dir;
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "entry-%d-%.*s", i, i % 40, "0123456789012345678901234567890123456789");
		MUST(close(MUST(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600))));
	}
	memset(seen, 0, sizeof(seen));
	folder = MUST(open(".", O_RDONLY | O_DIRECTORY));
	while ((length = MUST(syscall(SYS_getdents64, folder, buffer, sizeof(buffer)))) > 0) {
		for (long at = 0; at < length; at += *(unsigned short *)(buffer + at + 16)) {
			const char *text = buffer + at + 19;

			if (sscanf(text, "entry-%d-", &number) == 1) {
				found++;
				twice += seen[number]++;
			} else if (strcmp(text, ".") && strcmp(text, "..")) {
				strange++;
			}
		}
	}
	CHECK(found == ENTRIES && !twice && !strange, "each entry once in pieces of 200 bytes");
	CHECK_EQ(syscall(SYS_getdents64, folder, buffer, sizeof(buffer)), 0);
	MUST(close(folder));

	/* Half of them go while the directory is read: none of those that stay may be left out. */
	memset(seen, 0, sizeof(seen));
	list = opendir(".");
	found = twice = 0;
	while ((entry = readdir(list))) {
		if (sscanf(entry->d_name, "entry-%d-", &number) != 1)
			continue;
		twice += seen[number]++;
		if (number % 2) {
			MUST(unlink(entry->d_name));
			removed++;
		} else {
			found++;
		}
	}
	CHECK(found == ENTRIES / 2 && removed == ENTRIES / 2 && !twice, "entries that stay are found while others are removed");
	rewinddir(list);
	for (found = 0; (entry = readdir(list));)
		found += entry->d_name[0] == 'e';
	CHECK_EQ(found, ENTRIES / 2);

	/* A position is good for coming back to. */
	rewinddir(list);
	for (int i = 0; i < 700; i++)
		readdir(list);
	length = telldir(list);
	strcpy(name, readdir(list)->d_name);
	for (int i = 0; i < 300; i++)
		readdir(list);
	seekdir(list, length);
	CHECK(!strcmp(readdir(list)->d_name, name), "seekdir comes back to what telldir told");
	closedir(list);

	for (int i = 0; i < ENTRIES; i += 2) {
		char target[64];

		snprintf(name, sizeof(name), "entry-%d-%.*s", i, i % 40, "0123456789012345678901234567890123456789");
		snprintf(target, sizeof(target), "other-%d", i);
		if (i % 4)
			MUST(rename(name, target));
		else
			MUST(unlink(name));
	}
	MUST(stat(".", &status));
	CHECK_EQ(status.st_nlink, 2);
	list = opendir(".");
	for (found = 0; (entry = readdir(list));)
		found += entry->d_name[0] == 'o';
	CHECK_EQ(found, ENTRIES / 4);
	closedir(list);
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
