/* fcntl(2) record locks and flock(2) within one process: own locks never conflict, open file descriptions do. */
#include "../tst.h"

#include <sys/file.h>

#ifndef F_OFD_SETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

static struct flock lock_of(short type, off_t start, off_t length)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
}

static void check(const char *dir)
{
	struct flock lock;
	int one, two, reader;

	(void)dir;
	tst_file("file", "0123456789");
	one = MUST(open("file", O_RDWR));
	two = MUST(open("file", O_RDWR));
	reader = MUST(open("file", O_RDONLY));

	lock = lock_of(F_WRLCK, 0, 5);
	CHECK_EQ(fcntl(one, F_SETLK, &lock), 0);
	CHECK_EQ(fcntl(two, F_SETLK, &lock), 0);
	CHECK_EQ(fcntl(two, F_SETLKW, &lock), 0);
	CHECK_EQ(fcntl(two, F_GETLK, &lock), 0);
	CHECK(lock.l_type == F_UNLCK, "a process's own lock does not stand in its way");
	lock = lock_of(F_RDLCK, 0, 0);
	CHECK_EQ(fcntl(reader, F_SETLK, &lock), 0);
	lock = lock_of(F_WRLCK, 0, 0);
	CHECK_ERR(fcntl(reader, F_SETLK, &lock), EBADF);
	lock = lock_of(F_UNLCK, 0, 0);
	CHECK_EQ(fcntl(one, F_SETLK, &lock), 0);
	lock = lock_of(99, 0, 0);
	CHECK_ERR(fcntl(one, F_SETLK, &lock), EINVAL);
	lock = lock_of(F_RDLCK, -1, 0);
	CHECK_ERR(fcntl(one, F_SETLK, &lock), EINVAL);
	CHECK_ERR(fcntl(one, F_SETLK, TST_BAD), EFAULT);

	lock = lock_of(F_WRLCK, 0, 5);
	CHECK_EQ(fcntl(one, F_OFD_SETLK, &lock), 0);
	CHECK_ERR(fcntl(two, F_OFD_SETLK, &lock), EAGAIN);
	lock = lock_of(F_WRLCK, 2, 10);
	CHECK_EQ(fcntl(two, F_OFD_GETLK, &lock), 0);
	CHECK(lock.l_type == F_WRLCK && lock.l_start == 0 && lock.l_len == 5 && lock.l_pid == -1,
	      "F_OFD_GETLK describes the lock in the way");
	lock = lock_of(F_WRLCK, 5, 5);
	CHECK_EQ(fcntl(two, F_OFD_SETLK, &lock), 0);
	lock = lock_of(F_UNLCK, 0, 0);
	MUST(fcntl(one, F_OFD_SETLK, &lock));
	lock = lock_of(F_WRLCK, 0, 5);
	CHECK_EQ(fcntl(two, F_OFD_SETLK, &lock), 0);

	CHECK_EQ(flock(one, LOCK_EX), 0);
	CHECK_ERR(flock(two, LOCK_EX | LOCK_NB), EAGAIN);
	CHECK_ERR(flock(two, LOCK_SH | LOCK_NB), EAGAIN);
	CHECK_EQ(flock(one, LOCK_SH), 0);
	CHECK_EQ(flock(two, LOCK_SH | LOCK_NB), 0);
	CHECK_ERR(flock(one, LOCK_EX | LOCK_NB), EAGAIN);
	MUST(flock(one, LOCK_UN));
	MUST(close(one));
	CHECK_EQ(flock(two, LOCK_EX | LOCK_NB), 0);
	CHECK_EQ(flock(two, LOCK_UN), 0);
	CHECK_ERR(flock(two, LOCK_SH | LOCK_EX), EINVAL);
	CHECK_ERR(flock(-1, LOCK_EX), EBADF);
	MUST(close(two));
	MUST(close(reader));
}

int main(void)
{
	tst_in_dirs(check);
	return tst_done();
}
