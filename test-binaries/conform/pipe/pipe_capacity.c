/* A pipe holds 64 KiB; writes up to PIPE_BUF are all or nothing; F_GETPIPE_SZ, F_SETPIPE_SZ, FIONREAD. */
#include "../tst.h"

#include <sys/ioctl.h>

int main(void)
{
	static char data[200000];
	int ends[2], waiting = -1;
	long written = 0, got;

	MUST(pipe2(ends, O_NONBLOCK));
	CHECK_EQ(fcntl(ends[0], F_GETPIPE_SZ), 65536);
	CHECK_EQ(fcntl(ends[1], F_GETPIPE_SZ), 65536);
	CHECK_EQ(write(ends[1], data, sizeof(data)), 65536);
	CHECK_ERR(write(ends[1], data, 1), EAGAIN);
	CHECK_EQ(ioctl(ends[0], FIONREAD, &waiting), 0);
	CHECK_EQ(waiting, 65536);
	CHECK_EQ(read(ends[0], data, 100), 100);
	CHECK_ERR(write(ends[1], data, PIPE_BUF), EAGAIN);
	CHECK_EQ(read(ends[0], data, 4096), 4096);
	CHECK_EQ(write(ends[1], data, PIPE_BUF), PIPE_BUF);
	while ((got = read(ends[0], data, sizeof(data))) > 0)
		written += got;
	CHECK_EQ(written, 65536 - 100);
	CHECK_ERR(read(ends[0], data, 1), EAGAIN);

	CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 100000), 131072);
	CHECK_EQ(fcntl(ends[1], F_GETPIPE_SZ), 131072);
	CHECK_EQ(write(ends[1], data, sizeof(data)), 131072);
	CHECK_ERR(fcntl(ends[1], F_SETPIPE_SZ, 4096), EBUSY);
	while (read(ends[0], data, sizeof(data)) > 0)
		;
	CHECK_EQ(fcntl(ends[1], F_SETPIPE_SZ, 1), 4096);
	CHECK_EQ(write(ends[1], data, 5000), 4096);
	CHECK_ERR(fcntl(1, F_GETPIPE_SZ + 1000), EINVAL);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	tst_file(tst_path("pipe"), "");
	int file = MUST(open(tst_path("pipe"), O_RDWR));
	MUST(unlink(tst_path("pipe")));
	CHECK_ERR(fcntl(file, F_GETPIPE_SZ), EBADF);
	return tst_done();
}
