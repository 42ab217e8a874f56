/* conform: timeout=60 */
/* Thousands of random operations on names and open files, the same on both systems: each result, errno and file status counts. */
#include "../random.h"

#define FDS 8

static int fds[FDS];

/* Names of a small tree, some of them bad. */
static const char *name(void)
{
	static char names[4][64];
	static int next;
	static const char *const parts[] = { "a", "b", "c", "d", ".", "..", "a", "b", "c", "d" };
	char *text = names[next++ % 4];
	int depth = 1 + rnd(3);

	*text = 0;
	for (int i = 0; i < depth; i++) {
		/* Never above the directory: the first part is no "..", nor are two after each other. */
		const char *part = parts[rnd(10)];

		if (!strcmp(part, "..") && (i == 0 || !strcmp(text + strlen(text) - 2, "./") || !strcmp(text, "./")))
			part = "a";
		strcat(text, part);
		if (i + 1 < depth || rnd(12) == 0)
			strcat(text, "/");
	}
	if (rnd(200) == 0)
		*text = 0;
	return text;
}

static void show_status(const struct stat *status)
{
	long mode = status->st_mode, links = S_ISDIR(status->st_mode) ? 0 : status->st_nlink;
	long size = S_ISDIR(status->st_mode) ? 0 : status->st_size;

	add_number(mode);
	add_number(links);
	note(size, "    mode %lo links %ld, size", mode, links);
}

static int compare(const void *one, const void *two)
{
	return strcmp(*(char *const *)one, *(char *const *)two);
}

static void list(const char *path)
{
	char *found[64];
	int count = 0;
	DIR *dir = opendir(path);
	struct dirent *entry;

	note(dir ? 0 : -1, "list %s", path);
	if (!dir)
		return;
	while ((entry = readdir(dir)) && count < 64)
		found[count++] = strdup(entry->d_name);
	closedir(dir);
	qsort(found, count, sizeof(*found), compare);
	for (int i = 0; i < count; i++) {
		note(count, "    %s", found[i]);
		add(found[i], strlen(found[i]));
		free(found[i]);
	}
}

static void one_step(void)
{
	static char data[20000];
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_PATH };
	static const int extras[] = { 0, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_CREAT | O_TRUNC, O_DIRECTORY, O_NOFOLLOW, O_CREAT };
	const char *path = name(), *other = name();
	int slot = rnd(FDS), fd = fds[slot], flags;
	struct stat status;
	long result, from, length;

	switch (rnd(28)) {
	case 0:
	case 1:
	case 2:
		flags = modes[rnd(5)] | extras[rnd(8)];
		result = open(path, flags, 0600 + rnd(64));
		note(result < 0 ? -1 : 0, "%d = open %s %x", slot, path, flags);
		if (result >= 0) {
			close(fd);
			fds[slot] = result;
		}
		break;
	case 3:
		note(mkdir(path, 0700 + rnd(64)), "mkdir %s", path);
		break;
	case 4:
		note(rmdir(path), "rmdir %s", path);
		break;
	case 5:
		note(unlink(path), "unlink %s", path);
		break;
	case 6:
	case 7:
		note(rename(path, other), "rename %s %s", path, other);
		break;
	case 8:
		note(link(path, other), "link %s %s", path, other);
		break;
	case 9:
		note(symlink(path, other), "symlink %s %s", path, other);
		break;
	case 10:
		memset(data, 0, 64);
		result = readlink(path, data, 60);
		note(result, "readlink %s", path);
		add(data, 64);
		break;
	case 11:
	case 12:
		result = stat(path, &status);
		note(result, "stat %s", path);
		if (!result)
			show_status(&status);
		break;
	case 13:
		result = lstat(path, &status);
		note(result, "lstat %s", path);
		if (!result)
			show_status(&status);
		break;
	case 14:
		length = rnd(30000);
		note(truncate(path, length), "truncate %s %ld", path, length);
		break;
	case 15:
		length = rnd(30000);
		note(ftruncate(fd, length), "ftruncate %d %ld", slot, length);
		break;
	case 16:
	case 17:
		length = 1 + rnd(rnd(4) ? 300 : 20000);
		memset(data, 'a' + rnd(26), length);
		note(write(fd, data, length), "write %d %ld", slot, length);
		break;
	case 18:
		length = 1 + rnd(5000);
		from = rnd(40000);
		memset(data, 'A' + rnd(26), length);
		note(pwrite(fd, data, length, from), "pwrite %d %ld %ld", slot, length, from);
		break;
	case 19:
	case 20:
		length = rnd(20000);
		result = read(fd, data, length);
		note(result, "read %d %ld", slot, length);
		if (result > 0)
			add(data, result);
		break;
	case 21:
		length = rnd(20000);
		from = rnd(40000);
		result = pread(fd, data, length, from);
		note(result, "pread %d %ld %ld", slot, length, from);
		if (result > 0)
			add(data, result);
		break;
	case 22:
		flags = rnd(3);
		from = (long)rnd(40000) - 5000;
		if (fd >= 0 && (fstat(fd, &status) || S_ISDIR(status.st_mode)))
			break;
		note(lseek(fd, from, flags), "lseek %d %ld %d", slot, from, flags);
		break;
	case 23:
		result = fstat(fd, &status);
		note(result, "fstat %d", slot);
		if (!result)
			show_status(&status);
		break;
	case 24:
		flags = rnd(512);
		note(chmod(path, flags | 0700), "chmod %s %o", path, flags);
		break;
	case 25:
		list(path);
		break;
	case 26:
		flags = rnd(4);
		from = rnd(30000);
		length = 1 + rnd(10000);
		note(syscall(SYS_fallocate, fd, flags, from, length), "fallocate %d %d %ld %ld", slot, flags, from, length);
		break;
	default:
		flags = rnd(8);
		note(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, flags & 3), "renameat2 %s %s %d", path, other, flags & 3);
		break;
	}
}

static void check(const char *dir)
{
	int outside = MUST(open("/", O_RDONLY));

	(void)dir;
	for (int i = 0; i < FDS; i++)
		fds[i] = -1;
	MUST(mkdir("top", 0755));
	MUST(chdir("top"));
	/* Links to "." and ".." after them lead upwards: not further than here. */
	MUST(chroot("."));
	random_rounds(20, 250, one_step);
	for (int i = 0; i < FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	MUST(fchdir(outside));
	MUST(chroot("."));
	MUST(close(outside));
}

int main(void)
{
	random_start();
	tst_in_dir("/dev/shm", check);
	tst_in_dir("", check);
	return tst_done();
}
