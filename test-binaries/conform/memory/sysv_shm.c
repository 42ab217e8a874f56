/* shmget(2), shmat(2), shmdt(2), shmctl(2): System V shared memory within one process. */
#include "../tst.h"

#include <sys/ipc.h>
#include <sys/shm.h>

int main(void)
{
	const key_t key = 0x4b530000 | (getpid() & 0xffff);
	struct shmid_ds status;
	char *one, *two, *fixed;
	int id, other;

	tst_catch_faults();

	CHECK_ERR(shmget(key, 100, 0600), ENOENT);
	CHECK_ERR(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
	CHECK_ERR(shmget(IPC_PRIVATE, (size_t)-1, IPC_CREAT | 0600), EINVAL);
	id = MUST(shmget(key, 3 * TST_PAGE - 10, IPC_CREAT | IPC_EXCL | 0640));
	CHECK_ERR(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_EQ(shmget(key, 100, 0600), id);
	CHECK_EQ(shmget(key, 0, 0), id);
	CHECK_ERR(shmget(key, 3 * TST_PAGE, 0600), EINVAL);

	CHECK_OK(shmctl(id, IPC_STAT, &status));
	CHECK_EQ(status.shm_segsz, 3 * TST_PAGE - 10);
	CHECK_EQ(status.shm_nattch, 0);
	CHECK_EQ(status.shm_perm.mode, 0640);
	CHECK_EQ(status.shm_perm.__key, key);
	CHECK_EQ(status.shm_cpid, getpid());
	CHECK_EQ(status.shm_lpid, 0);
	CHECK_EQ(status.shm_atime, 0);
	CHECK(status.shm_ctime != 0, "the time of creation is known");

	one = MUST(shmat(id, NULL, 0));
	two = MUST(shmat(id, NULL, SHM_RDONLY));
	CHECK(one != two, "two attachments are two mappings");
	one[3 * TST_PAGE - 1] = 'x';
	CHECK_EQ(two[3 * TST_PAGE - 1], 'x');
	CHECK_EQ(two[0], 0);
	CHECK_EQ(TST_WRITE(two), SIGSEGV);
	CHECK_ERR(mprotect(two, TST_PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK_OK(shmctl(id, IPC_STAT, &status));
	CHECK_EQ(status.shm_nattch, 2);
	CHECK_EQ(status.shm_lpid, getpid());
	CHECK(status.shm_atime != 0 && status.shm_dtime == 0, "attached, never detached");

	CHECK_ERR(shmat(id, one + 1, 0), EINVAL);
	CHECK_ERR(shmat(id, one, 0), EINVAL);
	CHECK_ERR(shmat(id, NULL, SHM_REMAP), EINVAL);
	CHECK_ERR(shmat(-1, NULL, 0), EINVAL);
	fixed = MUST(mmap(NULL, 8 * TST_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK(shmat(id, fixed + TST_PAGE + 7, SHM_RND | SHM_REMAP) == fixed + TST_PAGE, "SHM_RND rounds down");
	CHECK_EQ(fixed[TST_PAGE + 3 * TST_PAGE - 1], 'x');

	CHECK_ERR(shmdt(one + TST_PAGE), EINVAL);
	CHECK_ERR(shmdt(one + 1), EINVAL);
	CHECK_ERR(shmdt(fixed), EINVAL);
	CHECK_OK(shmdt(one));
	CHECK_ERR(shmdt(one), EINVAL);
	CHECK_EQ(TST_READ(one), SIGSEGV);
	MUST(munmap(fixed + 2 * TST_PAGE, TST_PAGE));
	CHECK_OK(shmdt(fixed + TST_PAGE));
	CHECK_EQ(TST_READ(fixed + 3 * TST_PAGE), SIGSEGV);

	CHECK_OK(shmctl(id, IPC_STAT, &status));
	CHECK_EQ(status.shm_nattch, 1);
	status.shm_perm.mode = 0600;
	CHECK_OK(shmctl(id, IPC_SET, &status));
	CHECK_OK(shmctl(id, IPC_STAT, &status));
	CHECK_EQ(status.shm_perm.mode, 0600);

	/* Removed: the key is free, the memory stays until the last mapping goes. */
	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	CHECK_ERR(shmget(key, 100, 0600), ENOENT);
	CHECK_OK(shmctl(id, IPC_STAT, &status));
	CHECK_EQ(status.shm_perm.mode, 01600);
	CHECK_EQ(two[3 * TST_PAGE - 1], 'x');
	other = MUST(shmget(IPC_PRIVATE, 1, 0600));
	CHECK(other != id, "another segment has another id");
	CHECK_OK(shmctl(other, IPC_RMID, NULL));
	CHECK_ERR(shmctl(other, IPC_STAT, &status), EINVAL);
	CHECK_OK(shmdt(two));
	CHECK_ERR(shmctl(id, IPC_STAT, &status), EINVAL);
	CHECK_ERR(shmctl(id, 99, &status), EINVAL);
	return tst_done();
}
