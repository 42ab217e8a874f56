/* conform: timeout=60 */
/* Thousands of random operations by three users on files with random modes and owners, the same on both systems: each result, errno, mode and owner counts. */
#include "../random.h"

#include <grp.h>

static const struct identity {
	uid_t user;
	gid_t group, more;
} identities[] = { { 0, 0, 0 }, { 1001, 2001, 2002 }, { 1002, 2002, 2003 }, { 1003, 2001, 2001 } };

/* The effective ids alone change, so that the way back to root stays open. System calls: a C library's wrapper might do more. */
static void become(unsigned which)
{
	const struct identity *who = &identities[which];
	gid_t groups[2] = { who->group, who->more };

	MUST(syscall(SYS_setresuid, -1, 0, -1));
	MUST(syscall(SYS_setgroups, 2, groups));
	MUST(syscall(SYS_setresgid, -1, who->group, -1));
	MUST(syscall(SYS_setresuid, -1, who->user, -1));
	note(0, "become %d", who->user);
}

static const char *name(void)
{
	static char names[4][64];
	static int next;
	char *text = names[next++ % 4];
	int depth = 1 + rnd(3);

	*text = 0;
	for (int i = 0; i < depth; i++) {
		strcat(text, (const char *[]){ "a", "b", "c", "d", "e" }[rnd(5)]);
		if (i + 1 < depth)
			strcat(text, "/");
	}
	return text;
}

static void show(const char *path)
{
	struct stat status;
	long result = lstat(path, &status);

	note(result, "    lstat %s", path);
	if (result)
		return;
	note(status.st_mode, "    mode in octal %o", status.st_mode);
	note(status.st_uid, "    of user");
	note(status.st_gid, "    of group");
	if (S_ISREG(status.st_mode))
		note(status.st_size, "    size");
}

static void operation(void)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDONLY | O_DIRECTORY };
	const char *path = name(), *other = name();
	const struct timespec times[2] = { { 1, 0 }, { 2, 0 } }, now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	int flags, fd, mode = rnd(3) ? (int)rnd(01000) : (int)rnd(010000);
	uid_t user;
	gid_t group;

	if (rnd(5) == 0)
		become(rnd(4));
	switch (rnd(21)) {
	case 0:
	case 1:
	case 2:
		flags = modes[rnd(7)] | O_NONBLOCK;
		fd = open(path, flags, mode);
		note(fd < 0 ? -1 : 0, "open %s %x %o", path, flags, mode);
		if (fd >= 0) {
			if ((flags & O_ACCMODE) != O_RDONLY)
				note(write(fd, "12345", 1 + rnd(5)), "    write");
			show(path);
			close(fd);
		}
		break;
	case 3:
	case 4:
		note(mkdir(path, mode), "mkdir %s %o", path, mode);
		show(path);
		break;
	case 5:
		note(rmdir(path), "rmdir %s", path);
		break;
	case 6:
		note(unlink(path), "unlink %s", path);
		break;
	case 7:
		note(rename(path, other), "rename %s %s", path, other);
		break;
	case 8:
		/* What others may link depends on fs.protected_hardlinks. */
		if (geteuid())
			break;
		note(link(path, other), "link %s %s", path, other);
		break;
	case 9:
	case 10:
	case 11:
		note(chmod(path, mode), "chmod %s %o", path, mode);
		show(path);
		break;
	case 12:
	case 13:
		user = (int[]){ -1, 0, 1001, 1002 }[rnd(4)];
		group = (int[]){ -1, 2001, 2002, 2003 }[rnd(4)];
		note(lchown(path, user, group), "chown %s %d %d", path, (int)user, (int)group);
		show(path);
		break;
	case 14:
		flags = rnd(8);
		note(access(path, flags), "access %s %d", path, flags);
		break;
	case 15:
		flags = rnd(8);
		note(syscall(SYS_faccessat2, AT_FDCWD, path, flags, AT_EACCESS), "access of effective ids %s %d", path, flags);
		break;
	case 16:
		note(truncate(path, mode), "truncate %s %d", path, mode);
		show(path);
		break;
	case 17:
		note(utimensat(AT_FDCWD, path, rnd(2) ? now : times, 0), "utimensat %s", path);
		break;
	case 18:
		flags = rnd(01000);
		umask(flags);
		note(0, "umask %o", flags);
		break;
	case 19:
		note(mknod(path, (rnd(2) ? S_IFIFO : S_IFREG) | (mode & 0777), 0), "mknod %s", path);
		break;
	default:
		show(path);
		break;
	}
}

static void check(const char *dir)
{
	int outside = MUST(open("/", O_RDONLY));

	(void)dir;
	MUST(mkdir("top", 0777));
	MUST(chmod("top", 0777));
	MUST(chdir("top"));
	random_rounds(20, 400, operation);
	become(0);
	umask(022);
	MUST(fchdir(outside));
	MUST(close(outside));
}

int main(void)
{
	random_start();
	if (geteuid())
		tst_conf("it needs root");
	tst_in_dir("/dev/shm", check);
	tst_in_dir("", check);
	return tst_done();
}
