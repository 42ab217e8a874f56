/* conform: libs=-lpthread timeout=60 */
/* Pipes between threads: writes of up to PIPE_BUF bytes stay whole, every byte arrives once, tokens go round, poll wakes. */
#include "stress.h"
#include <poll.h>

STRESSOR(pipes, 100)

/* A record says who wrote it, which of his it is, and how long it is; the rest is filled with the writer's letter. */
struct pipes_record {
	unsigned short length, writer;
	unsigned number;
};
enum { PIPES_WRITERS = 3, PIPES_READERS = 2, PIPES_RING = 5 };
static int pipes_shared[2], pipes_ring[PIPES_RING][2], pipes_nonblock[2];
static long pipes_bytes_in, pipes_bytes_out, pipes_nonblock_in, pipes_nonblock_out;

static int pipes_whole(int fd, void *buffer, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got = read(fd, (char *)buffer + done, length - done);

		if (got == 0)
			return done ? -1 : 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			stress_fail(&pipes_self, "read: %s", tst_errno(errno));
			return -1;
		}
		done += got;
	}
	return 1;
}

static void *pipes_writer(void *argument)
{
	unsigned random = (long)argument + 1, number = 0;
	char buffer[4096];

	while (stress_running()) {
		struct pipes_record record = { 8 + stress_random(&random) % 4088, (long)argument, number++ };

		if (random & 1024)
			record.length = 8 + record.length % 32;
		memset(buffer, 'a' + record.writer, record.length);
		memcpy(buffer, &record, sizeof(record));
		if (STRESS_MUST(&pipes_self, write(pipes_shared[1], buffer, record.length)) != record.length)
			stress_fail(&pipes_self, "a write was cut");
		__atomic_add_fetch(&pipes_bytes_in, record.length, __ATOMIC_RELAXED);
		stress_progress(&pipes_self, 1);
	}
	return NULL;
}

/* Takes turns with the other reader: a record is read in two steps. */
static pthread_mutex_t pipes_turn = PTHREAD_MUTEX_INITIALIZER;
static unsigned pipes_next[PIPES_WRITERS];

static void *pipes_reader(void *argument)
{
	char buffer[4096];

	(void)argument;
	for (;;) {
		struct pipes_record record;
		int more;

		pthread_mutex_lock(&pipes_turn);
		more = pipes_whole(pipes_shared[0], &record, sizeof(record));
		if (more > 0 && (record.writer >= PIPES_WRITERS || record.length < 8 || record.length > 4096)) {
			stress_fail(&pipes_self, "a record is damaged");
			more = -1;
		}
		if (more > 0 && record.length > 8)
			more = pipes_whole(pipes_shared[0], buffer, record.length - 8);
		if (more > 0 && pipes_next[record.writer]++ != record.number)
			stress_fail(&pipes_self, "a writer's records are out of order");
		pthread_mutex_unlock(&pipes_turn);
		if (more <= 0)
			return NULL;
		for (int i = 0; i < record.length - 8; i++)
			if (buffer[i] != 'a' + record.writer) {
				stress_fail(&pipes_self, "two writes are mixed");
				break;
			}
		__atomic_add_fetch(&pipes_bytes_out, record.length, __ATOMIC_RELAXED);
	}
}

/* Two tokens run round the ring of pipes until one thread takes them out. */
static void *pipes_pass(void *argument)
{
	long me = (long)argument, taken = 0;
	char byte;

	while (pipes_whole(pipes_ring[me][0], &byte, 1) > 0) {
		if (me == 0 && !stress_running()) {
			if (++taken == 2)
				break;
			continue;
		}
		STRESS_MUST(&pipes_self, write(pipes_ring[(me + 1) % PIPES_RING][1], &byte, 1));
		stress_progress(&pipes_self, 1);
	}
	/* The end goes round too. */
	MUST(close(pipes_ring[(me + 1) % PIPES_RING][1]));
	return NULL;
}

static void pipes_poll(int fd, short events)
{
	struct pollfd entry = { fd, events, 0 };
	int count = poll(&entry, 1, 40000);

	if (count == 0)
		stress_fail(&pipes_self, "poll: a wake-up was lost");
	else if (count < 0 && errno != EINTR)
		stress_fail(&pipes_self, "poll: %s", tst_errno(errno));
}

static void *pipes_poll_writer(void *argument)
{
	static const char bytes[30000];

	(void)argument;
	while (stress_running()) {
		ssize_t put = write(pipes_nonblock[1], bytes, sizeof(bytes));

		if (put > 0)
			pipes_nonblock_in += put;
		else if (errno == EAGAIN)
			pipes_poll(pipes_nonblock[1], POLLOUT);
		else
			stress_fail(&pipes_self, "write: %s", tst_errno(errno));
	}
	MUST(close(pipes_nonblock[1]));
	return NULL;
}

static void *pipes_poll_reader(void *argument)
{
	char bytes[7000];

	(void)argument;
	for (;;) {
		ssize_t got = read(pipes_nonblock[0], bytes, sizeof(bytes));

		if (got == 0)
			break;
		if (got > 0) {
			pipes_nonblock_out += got;
			stress_progress(&pipes_self, 1);
		} else if (errno == EAGAIN) {
			pipes_poll(pipes_nonblock[0], POLLIN);
		} else {
			stress_fail(&pipes_self, "read: %s", tst_errno(errno));
		}
	}
	return NULL;
}

static void pipes_body(void)
{
	pthread_t writers[PIPES_WRITERS];

	pipes_bytes_in = pipes_bytes_out = pipes_nonblock_in = pipes_nonblock_out = 0;
	memset(pipes_next, 0, sizeof(pipes_next));
	MUST(pipe(pipes_shared));
	MUST(pipe2(pipes_nonblock, O_NONBLOCK));
	for (int i = 0; i < PIPES_RING; i++)
		MUST(pipe(pipes_ring[i]));
	for (long i = 0; i < PIPES_READERS; i++)
		stress_thread(&pipes_self, pipes_reader, NULL);
	for (long i = 0; i < PIPES_RING; i++)
		stress_thread(&pipes_self, pipes_pass, (void *)i);
	stress_thread(&pipes_self, pipes_poll_writer, NULL);
	stress_thread(&pipes_self, pipes_poll_reader, NULL);
	MUST(write(pipes_ring[1][1], "ab", 2));
	for (long i = 0; i < PIPES_WRITERS; i++)
		STRESS_ZERO(&pipes_self, pthread_create(&writers[i], NULL, pipes_writer, (void *)i));
	for (int i = 0; i < PIPES_WRITERS; i++)
		STRESS_ZERO(&pipes_self, pthread_join(writers[i], NULL));
	/* The readers then see the end. */
	MUST(close(pipes_shared[1]));
	stress_join(&pipes_self);
	MUST(close(pipes_shared[0]));
	MUST(close(pipes_nonblock[0]));
	for (int i = 0; i < PIPES_RING; i++)
		MUST(close(pipes_ring[i][0]));
	if (pipes_bytes_in != pipes_bytes_out)
		stress_fail(&pipes_self, "%ld bytes written, %ld read", pipes_bytes_in, pipes_bytes_out);
	if (pipes_nonblock_in != pipes_nonblock_out)
		stress_fail(&pipes_self, "%ld bytes written, %ld read", pipes_nonblock_in, pipes_nonblock_out);
}
