/* getdents64(2): every entry once, types, inodes, in pieces, from the start again; and its errors. */
#include "../tst.h"

struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int seen[256];

/* Reads to the end in buffers of `size` bytes; the number of entries, or -1. */
static int read_all(int fd, size_t size, int *types_wrong, int *inodes_wrong)
{
	char *buffer = malloc(size);
	int count = 0;
	long got;

	memset(seen, 0, sizeof(seen));
	while ((got = syscall(SYS_getdents64, fd, buffer, size)) > 0)
		for (long at = 0; at < got;) {
			struct entry *entry = (void *)(buffer + at);
			struct stat status;
			int type = 0;

			if (entry->length % 8 || at + entry->length > got)
				tst_brk("an entry of %u bytes", entry->length);
			count++;
			if (sscanf(entry->name, "file%d", &type) == 1)
				seen[type]++;
			if (strcmp(entry->name, "..")) {
				MUST(fstatat(fd, entry->name, &status, AT_SYMLINK_NOFOLLOW));
				*types_wrong += entry->type != IFTODT(status.st_mode);
				*inodes_wrong += entry->inode != status.st_ino;
			}
			at += entry->length;
		}
	free(buffer);
	return got ? -1 : count;
}

static void check(const char *dir)
{
	char name[64], buffer[1024];
	int fd, file, once, types = 0, inodes = 0;

	(void)dir;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		tst_file(name, "");
	}
	MUST(mkdir("folder", 0755));
	MUST(symlink("x", "link"));
	MUST(mkfifo("fifo", 0600));
	fd = MUST(open(".", O_RDONLY | O_DIRECTORY));
	CHECK_EQ(read_all(fd, 32768, &types, &inodes), 205);
	once = 0;
	for (int i = 0; i < 200; i++)
		once += seen[i] == 1;
	CHECK_EQ(once, 200);
	CHECK_EQ(types, 0);
	CHECK_EQ(inodes, 0);
	CHECK_EQ(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), 0);
	MUST(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(read_all(fd, 80, &types, &inodes), 205);
	MUST(lseek(fd, 0, SEEK_SET));
	MUST(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
	MUST(unlink("file7"));
	tst_file("file200", "");
	MUST(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(read_all(fd, 1000, &types, &inodes), 205);
	CHECK(seen[7] == 0 && seen[200] == 1, "from the start again it shows what has changed");

	MUST(lseek(fd, 0, SEEK_SET));
	CHECK_ERR(syscall(SYS_getdents64, fd, buffer, 8), EINVAL);
	CHECK_ERR(syscall(SYS_getdents64, fd, TST_BAD, 1000), EFAULT);
	CHECK_ERR(syscall(SYS_getdents64, -1, buffer, 1000), EBADF);
	file = MUST(open("file1", O_RDONLY));
	CHECK_ERR(syscall(SYS_getdents64, file, buffer, 1000), ENOTDIR);
	MUST(close(file));
	MUST(close(fd));
	fd = MUST(open("folder", O_RDONLY));
	MUST(rmdir("folder"));
	CHECK_ERR(syscall(SYS_getdents64, fd, buffer, 1000), ENOENT);
	MUST(close(fd));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
