/* splice, tee and vmsplice between pipes, files and memory. */
#include "../tst.h"

#include <sys/uio.h>

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
	return tst_done();
}
