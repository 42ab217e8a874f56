/* conform: libs=-lpthread */
/* unshare: a thread's own working directory, umask and descriptors; what is refused. */
#include "../tst.h"
#include <pthread.h>
#include <sched.h>

static int fd;

static void *own(void *argument)
{
	char path[64];

	(void)argument;
	CHECK_OK(unshare(0));
	CHECK_ERR(unshare(0x100), EINVAL); /* CLONE_VM */
	CHECK_ERR(unshare(0x10000), EINVAL); /* CLONE_THREAD */
	CHECK_ERR(unshare(0x800), EINVAL); /* CLONE_SIGHAND */
	CHECK_OK(chdir("/usr"));
	CHECK_OK(unshare(0x200 | 0x40000)); /* CLONE_FS, CLONE_SYSVSEM */
	CHECK_OK(chdir("/tmp"));
	umask(077);
	CHECK_STR(getcwd(path, sizeof(path)), "/tmp");
	CHECK_OK(unshare(0x400)); /* CLONE_FILES */
	CHECK_OK(close(fd));
	CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	char path[64];

	MUST(chdir("/"));
	umask(022);
	fd = MUST(dup(1));
	CHECK_ERR(unshare(0x200000), EINVAL); /* CLONE_CHILD_CLEARTID */
	CHECK_ERR(unshare(1), EINVAL);
	if (pthread_create(&thread, NULL, own, NULL) || pthread_join(thread, NULL))
		tst_brk("pthread_create");
	CHECK_STR(getcwd(path, sizeof(path)), "/usr");
	CHECK_EQ(umask(022), 022);
	CHECK_OK(fcntl(fd, F_GETFD));
	return tst_done();
}
