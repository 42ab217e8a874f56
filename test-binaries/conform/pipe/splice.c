/* splice, tee and vmsplice between pipes, files and memory. */
#include "../tst.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int available(int fd)
{
	int count = -1;

	MUST(ioctl(fd, FIONREAD, &count));
	return count;
}

/* What a splice cannot hand over stays where it was, and descriptors that do not block do not. */
static void failures(int file)
{
	int a[2], b[2], pair[2];
	char text[4096] = "";

	MUST(pipe(a));
	MUST(pipe(b));
	MUST(write(a[1], "0123456789", 10));
	MUST(lseek(file, 1, SEEK_SET));
	MUST(close(b[0]));
	CHECK_ERR(splice(a[0], NULL, b[1], NULL, 4, 0), EPIPE);
	CHECK_EQ(available(a[0]), 10);
	CHECK_ERR(splice(file, NULL, b[1], NULL, 4, 0), EPIPE);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 1);

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	CHECK_ERR(splice(pair[0], NULL, a[1], NULL, 4, 0), EAGAIN);
	while (write(pair[0], text, sizeof(text)) > 0)
		;
	CHECK_ERR(splice(a[0], NULL, pair[0], NULL, 4, 0), EAGAIN);
	CHECK_EQ(available(a[0]), 10);
	MUST(close(pair[1]));
	CHECK_ERR(splice(a[0], NULL, pair[0], NULL, 4, 0), EPIPE);
	CHECK_EQ(read(a[0], text, 3), 3);
	CHECK(!memcmp(text, "012", 3), "nothing is lost");
	CHECK_EQ(splice(a[0], NULL, file, NULL, 100, 0), 7);
	MUST(close(pair[0]));
	MUST(close(a[0]));
	MUST(close(a[1]));
	MUST(close(b[1]));
}

int main(void)
{
	int a[2], b[2], file;
	char text[64];
	off_t at;
	struct iovec parts[2] = { { "vm", 2 }, { "splice", 6 } };

	MUST(pipe2(a, O_NONBLOCK));
	MUST(pipe2(b, O_NONBLOCK));
	tst_file(tst_path("spliced"), "0123456789");
	file = MUST(open(tst_path("spliced"), O_RDWR));

	at = 2;
	CHECK_EQ(splice(file, &at, a[1], NULL, 5, 0), 5);
	CHECK_EQ(at, 7);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
	CHECK_EQ(splice(file, NULL, a[1], NULL, 100, 0), 10);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 10);
	CHECK_EQ(splice(file, NULL, a[1], NULL, 100, 0), 0);
	CHECK_EQ(tee(a[0], b[1], 3, 0), 3);
	CHECK_EQ(read(b[0], text, sizeof(text)), 3);
	text[3] = 0;
	CHECK_STR(text, "234");
	CHECK_EQ(splice(a[0], NULL, b[1], NULL, 100, 0), 15);
	CHECK_EQ(read(b[0], text, sizeof(text)), 15);
	text[15] = 0;
	CHECK_STR(text, "234560123456789");
	CHECK_ERR(splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERR(tee(a[0], b[1], 1, SPLICE_F_NONBLOCK), EAGAIN);

	CHECK_EQ(vmsplice(a[1], parts, 2, 0), 8);
	at = 4;
	CHECK_EQ(splice(a[0], NULL, file, &at, 8, 0), 8);
	CHECK_EQ(at, 12);
	CHECK_EQ(pread(file, text, sizeof(text), 0), 12);
	text[12] = 0;
	CHECK_STR(text, "0123vmsplice");

	at = 0;
	CHECK_ERR(splice(a[0], &at, file, NULL, 1, 0), ESPIPE);
	CHECK_ERR(splice(file, NULL, file, NULL, 1, 0), EINVAL);
	CHECK_ERR(splice(a[0], NULL, a[1], NULL, 1, 0), EINVAL);
	CHECK_ERR(splice(a[0], NULL, b[0], NULL, 1, 0), EBADF);
	CHECK_ERR(splice(a[0], NULL, b[1], NULL, 1, 0x100), EINVAL);
	CHECK_ERR(splice(-1, NULL, b[1], NULL, 1, 0), EBADF);
	CHECK_EQ(splice(a[0], NULL, b[1], NULL, 0, 0), 0);
	CHECK_ERR(tee(a[0], file, 1, 0), EINVAL);
	CHECK_ERR(vmsplice(file, parts, 1, 0), EBADF);
	MUST(close(a[1]));
	CHECK_EQ(splice(a[0], NULL, b[1], NULL, 1, 0), 0);
	signal(SIGPIPE, SIG_IGN);
	MUST(close(b[0]));
	CHECK_ERR(splice(file, &(off_t){ 0 }, b[1], NULL, 1, 0), EPIPE);
	failures(file);
	return tst_done();
}
