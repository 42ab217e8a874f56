/* conform: libs=-lpthread */
/* futex(2) itself: errnos, timeouts on both clocks, bit sets, requeueing, FUTEX_WAKE_OP, shared and private words, robust lists. */
#include "../tst.h"
#include <pthread.h>

#define WAIT 0
#define WAKE 1
#define REQUEUE 3
#define CMP_REQUEUE 4
#define WAKE_OP 5
#define WAIT_BITSET 9
#define WAKE_BITSET 10
#define PRIVATE 128
#define REALTIME 256

static uint32_t word, other, shared_flag = PRIVATE;
static int waiting, woken;

static long futex(void *address, int op, uint32_t value, const void *timeout, void *second, uint32_t third)
{
	return syscall(SYS_futex, address, op, value, timeout, second, third);
}

static void *waits(void *argument)
{
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	if (argument)
		futex(&word, WAIT_BITSET | shared_flag, 0, NULL, NULL, (long)argument);
	else
		futex(&word, WAIT | shared_flag, 0, NULL, NULL, 0);
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static pthread_t threads[8];

static void begin(int count, long bits)
{
	waiting = woken = 0;
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, waits, (void *)(bits ? bits << i : 0)))
			tst_brk("pthread_create");
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < count)
		usleep(500);
	usleep(30000);
}

static void end(int count)
{
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void settle(int count)
{
	for (int i = 0; i < 2000 && __atomic_load_n(&woken, __ATOMIC_SEQ_CST) < count; i++)
		usleep(500);
	usleep(10000);
}

static struct timespec soon(clockid_t clock, long milliseconds)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_nsec += milliseconds * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

struct map {
	uint32_t *waits_at, *wakes_at;
	long result;
};

static void *waits_shared(void *argument)
{
	struct map *map = argument;
	struct timespec timeout = { .tv_sec = 5 };

	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	map->result = futex(map->waits_at, WAIT, 0, &timeout, NULL, 0);
	return NULL;
}

static void between(uint32_t *one, uint32_t *two, const char *what)
{
	struct map map = { one, two, -1 };
	pthread_t thread;

	waiting = 0;
	if (pthread_create(&thread, NULL, waits_shared, &map))
		tst_brk("pthread_create");
	while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST))
		usleep(500);
	usleep(30000);
	CHECK(futex(two, WAKE | PRIVATE, 1, NULL, NULL, 0) == 0, "%s: a private wake-up does not count", what);
	CHECK(futex(two, WAKE, 1, NULL, NULL, 0) == 1, "%s: woken through another mapping", what);
	pthread_join(thread, NULL);
	CHECK(map.result == 0, "%s: the waiter returned 0", what);
}

struct robust_list {
	struct robust_list *next;
};
struct head {
	struct robust_list list;
	long offset;
	struct robust_list *pending;
};
struct lock {
	struct robust_list entry;
	uint32_t word;
};

static struct lock locks[3];
static struct head head = { .offset = offsetof(struct lock, word) };
static pid_t dead_tid;

static void *dies(void *argument)
{
	uint32_t tid = syscall(SYS_gettid);

	(void)argument;
	dead_tid = tid;
	head.list.next = &locks[0].entry;
	locks[0].entry.next = &locks[1].entry;
	locks[1].entry.next = &head.list;
	locks[0].word = tid | 0x80000000;
	locks[1].word = tid + 1;
	locks[2].word = tid;
	head.pending = &locks[2].entry;
	CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
	return NULL;
}

int main(void)
{
	struct timespec timeout = { .tv_nsec = 30000000 }, bad = { .tv_nsec = 1000000000 };
	struct timespec past = { .tv_sec = 1 };
	pthread_t thread;
	long long before;
	void *list;
	size_t length;

	CHECK_ERR(futex(&word, WAIT | PRIVATE, 1, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&word, WAIT, 1, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex((char *)&word + 1, WAIT | PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex((char *)&word + 2, WAKE | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(TST_BAD, WAIT | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(TST_BAD, WAKE, 1, NULL, NULL, 0), EFAULT);
	CHECK_EQ(futex(TST_BAD, WAKE | PRIVATE, 1, NULL, NULL, 0), 0);
	CHECK_ERR(futex((void *)0xffff800000000000, WAKE | PRIVATE, 1, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, WAIT | PRIVATE, 0, &bad, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, WAIT | PRIVATE, 0, TST_BAD, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, WAIT_BITSET | PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, WAKE_BITSET | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, WAIT | PRIVATE | REALTIME, 0, &timeout, NULL, 0), ENOSYS);
	CHECK_ERR(futex(&word, 77, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(&word, CMP_REQUEUE | PRIVATE, 1, (void *)1, &other, 5), EAGAIN);
	CHECK_ERR(futex(&word, REQUEUE | PRIVATE, -1, (void *)1, &other, 0), EINVAL);
	CHECK_ERR(futex(&word, REQUEUE | PRIVATE, 1, (void *)-1L, &other, 0), EINVAL);

	before = tst_now(CLOCK_MONOTONIC);
	CHECK_ERR(futex(&word, WAIT | PRIVATE, 0, &timeout, NULL, 0), ETIMEDOUT);
	CHECK(tst_now(CLOCK_MONOTONIC) - before >= 30000000, "the timeout is relative");
	timeout = soon(CLOCK_MONOTONIC, 30);
	CHECK_ERR(futex(&word, WAIT_BITSET | PRIVATE, 0, &timeout, NULL, -1), ETIMEDOUT);
	CHECK(tst_now(CLOCK_MONOTONIC) >= timeout.tv_sec * 1000000000LL + timeout.tv_nsec, "a point of the monotonic clock");
	timeout = soon(CLOCK_REALTIME, 30);
	CHECK_ERR(futex(&word, WAIT_BITSET | PRIVATE | REALTIME, 0, &timeout, NULL, -1), ETIMEDOUT);
	CHECK(tst_now(CLOCK_REALTIME) >= timeout.tv_sec * 1000000000LL + timeout.tv_nsec, "a point of the real-time clock");
	CHECK_ERR(futex(&word, WAIT_BITSET | PRIVATE, 0, &past, NULL, -1), ETIMEDOUT);

	begin(4, 0);
	CHECK_EQ(futex(&word, WAKE | PRIVATE, 1, NULL, NULL, 0), 1);
	settle(1);
	CHECK_EQ(woken, 1);
	CHECK_EQ(futex(&word, WAKE | PRIVATE, 0, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&word, WAKE | PRIVATE, INT_MAX, NULL, NULL, 0), 2);
	end(4);

	begin(3, 1);
	CHECK_EQ(futex(&word, WAKE_BITSET | PRIVATE, 9, NULL, NULL, 8), 0);
	CHECK_EQ(futex(&word, WAKE_BITSET | PRIVATE, 9, NULL, NULL, 2), 1);
	CHECK_EQ(futex(&word, WAKE_BITSET | PRIVATE, 9, NULL, NULL, 5), 2);
	end(3);

	begin(5, 0);
	CHECK_EQ(futex(&word, CMP_REQUEUE | PRIVATE, 1, (void *)2, &other, 0), 3);
	settle(1);
	CHECK_EQ(woken, 1);
	CHECK_EQ(futex(&other, WAKE | PRIVATE, 9, NULL, NULL, 0), 2);
	CHECK_EQ(futex(&word, REQUEUE | PRIVATE, 0, (void *)9, &other, 0), 2);
	CHECK_EQ(futex(&word, WAKE | PRIVATE, 9, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&other, WAKE | PRIVATE, 9, NULL, NULL, 0), 2);
	end(5);

	/* other += 3, and wake there too if it was 0 (FUTEX_OP_ADD, FUTEX_OP_CMP_EQ). */
	begin(2, 0);
	other = 0;
	CHECK_EQ(futex(&word, WAKE_OP | PRIVATE, 1, (void *)1, &other, 1u << 28 | 0u << 24 | 3 << 12 | 0), 1);
	CHECK_EQ(other, 3);
	CHECK_EQ(futex(&other, WAKE_OP | PRIVATE, 1, (void *)1, &word, 0u << 28 | 0u << 24 | 0 << 12 | 0), 1);
	end(2);
	CHECK_ERR(futex(&word, WAKE_OP | PRIVATE, 1, (void *)1, &other, 7u << 28), ENOSYS);
	CHECK_ERR(futex(&word, WAKE_OP | PRIVATE, 1, (void *)1, TST_BAD, 0), EFAULT);

	char path[64];
	snprintf(path, sizeof(path), "%s", tst_path("futex"));
	int fd = MUST(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	MUST(ftruncate(fd, 8192));
	char *one = MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	char *two = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096));
	between((uint32_t *)(one + 4096 + 64), (uint32_t *)(two + 64), "a shared file");
	unlink(path);
	one = MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	two = MUST(mremap(one, 0, 8192, MREMAP_MAYMOVE));
	between((uint32_t *)(one + 4096), (uint32_t *)(two + 4096), "shared anonymous memory");
	between(&word, &word, "private memory without the flag");

	CHECK_ERR(syscall(SYS_set_robust_list, &head, 7), EINVAL);
	CHECK_OK(syscall(SYS_get_robust_list, 0, &list, &length));
	CHECK_EQ(length, sizeof(head));
	CHECK_ERR(syscall(SYS_get_robust_list, 99999999, &list, &length), ESRCH);
	if (pthread_create(&thread, NULL, dies, NULL) || pthread_join(thread, NULL))
		tst_brk("pthread_create");
	CHECK_EQ(locks[0].word, 0xc0000000);
	CHECK(locks[1].word == (uint32_t)dead_tid + 1, "a lock that another holds stays as it is");
	CHECK_EQ(locks[2].word, 0x40000000);
	return tst_done();
}
