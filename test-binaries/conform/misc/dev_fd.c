/* /dev/fd, /proc/self/fd and /proc/self/fdinfo: entries for each descriptor, names, offsets; opening one anew. */
#include "../tst.h"

int main(void)
{
	char path[64], target[PATH_MAX] = { 0 }, text[1024];
	struct dirent *entry;
	struct stat status;
	int fd, again, found = 0, others = 0;
	long position = -1;
	unsigned flags = 0;
	char *line;
	DIR *dir;

	tst_file(tst_path("fd"), "0123456789");
	fd = MUST(open(tst_path("fd"), O_RDWR | O_APPEND | O_CLOEXEC));
	MUST(dup2(fd, 77));
	MUST(lseek(fd, 4, SEEK_SET));
	MUST(lstat("/dev/fd", &status));
	CHECK(S_ISLNK(status.st_mode), "/dev/fd is a symbolic link");
	MUST(readlink("/dev/fd", target, sizeof(target) - 1));
	CHECK_STR(target, "/proc/self/fd");
	dir = opendir("/proc/self/fd");
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		found += !strcmp(entry->d_name, "77");
		others += atoi(entry->d_name) < 3;
	}
	closedir(dir);
	CHECK(found == 1 && others == 3, "/proc/self/fd lists the descriptors");
	memset(target, 0, sizeof(target));
	CHECK_EQ(readlink("/proc/self/fd/77", target, sizeof(target) - 1), strlen(tst_path("fd")));
	CHECK(!strcmp(target, tst_path("fd")), "the link is the path that was opened");
	MUST(lstat("/proc/self/fd/77", &status));
	CHECK(S_ISLNK(status.st_mode) && (status.st_mode & 0700) == 0700, "a descriptor for both is a link of mode 0700");
	CHECK_ERR(readlink("/proc/self/fd/99", target, 10), ENOENT);

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	MUST(tst_read_file(path, text, sizeof(text)));
	line = strstr(text, "pos:");
	CHECK(line && sscanf(line, "pos: %ld", &position) == 1 && position == 4, "fdinfo has the offset");
	line = strstr(text, "flags:");
	CHECK(line && sscanf(line, "flags: %o", &flags) == 1, "and the flags");
	CHECK((flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) && (flags & O_CLOEXEC), "which are those of the open");
	CHECK(strstr(text, "mnt_id:"), "and the mount");

	again = MUST(open("/proc/self/fd/77", O_RDONLY));
	CHECK(read(again, text, 100) == 10, "opening it opens the file anew, at its start");
	MUST(unlink(tst_path("fd")));
	again = MUST(open("/dev/fd/77", O_RDONLY));
	CHECK(read(again, text, 100) == 10, "even if it has no name any more");
	memset(target, 0, sizeof(target));
	MUST(readlink("/proc/self/fd/77", target, sizeof(target) - 1));
	snprintf(text, sizeof(text), "%s (deleted)", tst_path("fd"));
	CHECK(!strcmp(target, text), "its name says that it is deleted");
	CHECK_ERR(unlink("/proc/self/fd/77"), EPERM);
	return tst_done();
}
