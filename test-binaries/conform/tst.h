/* What every conformance program uses: results in LTP's form, checks, directories to work in. */
#ifndef TST_H
#define TST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define TST_FAIL 1
#define TST_BROK 2
#define TST_WARN 4
#define TST_CONF 32

static int tst_status;
static int tst_checks;

/* Prints one result line with a single write, so that lines before a crash are not lost. */
__attribute__((format(printf, 4, 5), unused)) static void tst_result(const char *file, int line, const char *kind,
								      const char *format, ...)
{
	char text[1024];
	const char *slash = strrchr(file, '/');
	const char *name = slash ? slash + 1 : file;
	int saved = errno;
	int used = snprintf(text, sizeof(text), "%.*s  %d: %s: ", (int)strcspn(name, "."), name, line, kind);
	va_list list;

	va_start(list, format);
	used += vsnprintf(text + used, sizeof(text) - used - 1, format, list);
	va_end(list);
	if (used > (int)sizeof(text) - 2)
		used = sizeof(text) - 2;
	text[used++] = '\n';
	if (write(STDOUT_FILENO, text, used) != used)
		_exit(TST_BROK);
	tst_checks++;
	errno = saved;
}

#define tst_pass(...) tst_result(__FILE__, __LINE__, "TPASS", __VA_ARGS__)
#define tst_fail(...) (tst_status |= TST_FAIL, tst_result(__FILE__, __LINE__, "TFAIL", __VA_ARGS__))
#define tst_info(...) tst_result(__FILE__, __LINE__, "TINFO", __VA_ARGS__)
#define tst_brk(...) (tst_result(__FILE__, __LINE__, "TBROK", __VA_ARGS__), exit(tst_status | TST_BROK))
#define tst_conf(...) (tst_result(__FILE__, __LINE__, "TCONF", __VA_ARGS__), exit(tst_status | TST_CONF))

__attribute__((unused)) static int tst_done(void)
{
	if (!tst_checks) {
		tst_result(__FILE__, __LINE__, "TBROK", "nothing was checked");
		return TST_BROK;
	}
	return tst_status;
}

/* The name of an errno as in errno(3). */
__attribute__((unused)) static const char *tst_errno(int number)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
#define N(name) { name, #name }
		N(EPERM), N(ENOENT), N(ESRCH), N(EINTR), N(EIO), N(ENXIO), N(E2BIG), N(ENOEXEC), N(EBADF), N(ECHILD),
		N(EAGAIN), N(ENOMEM), N(EACCES), N(EFAULT), N(EBUSY), N(EEXIST), N(EXDEV), N(ENODEV), N(ENOTDIR), N(EISDIR),
		N(EINVAL), N(ENFILE), N(EMFILE), N(ENOTTY), N(ETXTBSY), N(EFBIG), N(ENOSPC), N(ESPIPE), N(EROFS), N(EMLINK),
		N(EPIPE), N(ERANGE), N(EDEADLK), N(ENAMETOOLONG), N(ENOSYS), N(ENOTEMPTY), N(ELOOP), N(ENODATA), N(EOVERFLOW),
		N(EOPNOTSUPP), N(ENOTSOCK), N(ETIMEDOUT), N(ESTALE),
#undef N
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].number == number)
			return names[i].name;
	return number ? "another errno" : "no error";
}

/* A condition, with what it means. */
#define CHECK(condition, ...)                          \
	do {                                           \
		if (condition)                         \
			tst_pass(__VA_ARGS__);         \
		else                                   \
			tst_fail(__VA_ARGS__);         \
	} while (0)

/* A call that must not give -1. */
#define CHECK_OK(call)                                                        \
	do {                                                                  \
		errno = 0;                                                    \
		if ((long)(call) != -1)                                       \
			tst_pass("%s", #call);                                \
		else                                                          \
			tst_fail("%s: %s", #call, tst_errno(errno));          \
	} while (0)

/* A call that must give -1 and this errno. */
#define CHECK_ERR(call, error)                                                                      \
	do {                                                                                        \
		errno = 0;                                                                          \
		long tst_value = (long)(call);                                                      \
		if (tst_value == -1 && errno == (error))                                            \
			tst_pass("%s gives %s", #call, #error);                                     \
		else if (tst_value == -1)                                                           \
			tst_fail("%s gives %s, not %s", #call, tst_errno(errno), #error);           \
		else                                                                                \
			tst_fail("%s gives %ld, not %s", #call, tst_value, #error);                 \
	} while (0)

/* Two numbers that must be equal. */
#define CHECK_EQ(value, wanted)                                                                             \
	do {                                                                                                \
		errno = 0;                                                                                  \
		long tst_value = (long)(value), tst_wanted = (long)(wanted);                                \
		if (tst_value == tst_wanted)                                                                \
			tst_pass("%s is %s", #value, #wanted);                                              \
		else                                                                                        \
			tst_fail("%s is %ld, not %s = %ld (%s)", #value, tst_value, #wanted, tst_wanted,    \
				 tst_errno(errno));                                                         \
	} while (0)

/* Two strings that must be equal. */
#define CHECK_STR(value, wanted)                                                                      \
	do {                                                                                          \
		const char *tst_value = (value), *tst_wanted = (wanted);                              \
		if (!strcmp(tst_value, tst_wanted))                                                   \
			tst_pass("%s is %s", #value, #wanted);                                        \
		else                                                                                  \
			tst_fail("%s is \"%s\", not \"%s\"", #value, tst_value, tst_wanted);          \
	} while (0)

/* A step of preparation that must not give -1; gives its value. */
#define MUST(call)                                                                      \
	({                                                                              \
		errno = 0;                                                              \
		__auto_type tst_must = (call);                                          \
		if ((long)tst_must == -1)                                               \
			tst_brk("%s: %s", #call, tst_errno(errno));                     \
		tst_must;                                                               \
	})

/* A pointer that no mapping has, for EFAULT, and a negative number; volatile, as compilers would know better. */
static void *volatile tst_bad __attribute__((unused)) = (void *)0x10;
static volatile int tst_minus __attribute__((unused)) = -1;
#define TST_BAD tst_bad
#define TST_MINUS tst_minus
#define TST_PAGE 4096UL

/* Removes a directory and all in it, without following symbolic links. */
__attribute__((unused)) static void tst_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		char name[PATH_MAX];

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (unlink(name) && (errno == EISDIR || errno == EPERM))
			tst_remove(name);
	}
	closedir(dir);
	rmdir(path);
}

/* Runs `check` in a new directory under `parent`, then removes it. The directory's path is the argument. */
__attribute__((unused)) static void tst_in_dir(const char *parent, void (*check)(const char *))
{
	char path[64];

	snprintf(path, sizeof(path), "%s/conform-XXXXXX", parent);
	/* Who is not root has only /var/tmp outside of /tmp. */
	if (!mkdtemp(path) && !*parent && errno == EACCES) {
		snprintf(path, sizeof(path), "/var/tmp/conform-XXXXXX");
		errno = mkdtemp(path) ? 0 : errno;
	}
	if (access(path, F_OK))
		tst_brk("mkdtemp in %s: %s", parent, tst_errno(errno));
	if (chmod(path, 0755) || chdir(path))
		tst_brk("cannot use a directory in %s: %s", parent, tst_errno(errno));
	umask(022);
	check(path);
	MUST(chdir("/"));
	tst_remove(path);
}

/* The same in /tmp and on the root filesystem. */
__attribute__((unused)) static void tst_in_dirs(void (*check)(const char *))
{
	tst_in_dir("/tmp", check);
	tst_in_dir("", check);
}

/* A path in /tmp of this process alone: the same program may run twice at a time. Valid until the next call. */
__attribute__((unused)) static const char *tst_path(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/conform-%s-%d", name, getpid());
	return path;
}

/* Creates a file with this text. */
__attribute__((unused)) static void tst_file(const char *path, const char *text)
{
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		tst_brk("cannot write %s: %s", path, tst_errno(errno));
	MUST(close(fd));
}

/* Reads a whole small file into a string; the number of bytes, or -1. */
__attribute__((unused)) static ssize_t tst_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	while (used < size - 1 && (got = read(fd, text + used, size - 1 - used)) > 0)
		used += got;
	text[used] = 0;
	close(fd);
	return used;
}

/* Runs an access that is expected to fault: the signal's number, 0 if none; the details in tst_info_of_fault. */
static sigjmp_buf tst_fault_jump __attribute__((unused));
static siginfo_t tst_fault_info __attribute__((unused));

__attribute__((unused)) static void tst_fault_handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	tst_fault_info = *info;
	siglongjmp(tst_fault_jump, signal);
}

__attribute__((unused)) static void tst_catch_faults(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	struct sigaction action = { .sa_sigaction = tst_fault_handler, .sa_flags = SA_SIGINFO };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		MUST(sigaction(signals[i], &action, NULL));
}

#define TST_FAULT(statement)                                      \
	({                                                        \
		int tst_signal = sigsetjmp(tst_fault_jump, 1);    \
		if (!tst_signal) {                                \
			statement;                                \
		}                                                 \
		tst_signal;                                       \
	})

/* A read and a write that the compiler keeps. */
#define TST_READ(address) TST_FAULT((void)*(volatile char *)(address))
#define TST_WRITE(address) TST_FAULT(*(volatile char *)(address) = 1)

/* Nanoseconds of a clock. */
__attribute__((unused)) static long long tst_now(clockid_t clock)
{
	struct timespec now;

	MUST(clock_gettime(clock, &now));
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

#endif
