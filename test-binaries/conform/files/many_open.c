/* 900 files open at once, each with its own contents and offset; all closed by number. */
#include "../tst.h"

static void check(const char *dir)
{
	char name[32], text[32];
	int fds[900], opened = 0, right = 0, closed = 0;

	(void)dir;
	for (int i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		fds[i] = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		opened += fds[i] >= 0 && write(fds[i], name, strlen(name)) == (ssize_t)strlen(name);
	}
	CHECK_EQ(opened, 900);
	for (int i = 0; i < 900; i++) {
		memset(text, 0, sizeof(text));
		snprintf(name, sizeof(name), "file-%d", i);
		right += lseek(fds[i], 0, SEEK_CUR) == (off_t)strlen(name) && pread(fds[i], text, 31, 0) > 0 && !strcmp(text, name);
	}
	CHECK_EQ(right, 900);
	for (int i = 899; i >= 0; i--)
		closed += !close(fds[i]);
	CHECK_EQ(closed, 900);
	CHECK_OK(close(open("file-899", O_RDONLY)));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
