/*
 * All stressors of conform/stress side by side in one process, in rounds, for `cargo xtask soak`: soak SECONDS
 * [SECONDS-A-ROUND [NAME…]]; with names, only these.
 *
 * A watchdog ends it when a stressor stands still. After each round, when all its threads have ended, a line says what
 * the system's memory looks like, for the one who runs it to see whether anything grows.
 */
#define STRESS_MANY
#include "../conform/stress/affinities.c"
#include "../conform/stress/clocks.c"
#include "../conform/stress/epolls.c"
#include "../conform/stress/eventfds.c"
#include "../conform/stress/futex.c"
#include "../conform/stress/heap.c"
#include "../conform/stress/membarriers.c"
#include "../conform/stress/mutex.c"
#include "../conform/stress/pipes.c"
#include "../conform/stress/robust.c"
#include "../conform/stress/rseqs.c"
#include "../conform/stress/shootdown.c"
#include "../conform/stress/sigq.c"
#include "../conform/stress/storm.c"
#include "../conform/stress/threads.c"
#include "../conform/stress/timerfds.c"
#include "../conform/stress/timers.c"
#include "../conform/stress/vectors.c"
#include "../conform/stress/yields.c"

static struct stressor *soak_all[] = {
	&affinities_self, &clocks_self, &epolls_self,    &eventfds_self, &futex_self,	 &heap_self,   &membarriers_self,
	&mutex_self,	  &pipes_self,	&robust_self,    &rseqs_self,	 &shootdown_self, &sigq_self,   &storm_self,
	&threads_self,	  &timerfds_self, &timers_self,  &vectors_self,	 &yields_self,
};
enum { SOAK_MOST = sizeof(soak_all) / sizeof(*soak_all), SOAK_PATIENCE = 120 };
static int soak_count = SOAK_MOST;
static int soak_ended[SOAK_MOST];

static void *soak_one(void *argument)
{
	int index = (long)argument;

	soak_all[index]->progress = 0;
	soak_all[index]->body();
	__atomic_store_n(&soak_ended[index], 1, __ATOMIC_RELEASE);
	return NULL;
}

/* A number of /proc/meminfo in KiB, -1 if it is not there. */
static long soak_memory(const char *text, const char *name)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), "\n%s:", name);
	at = strstr(text, key);
	return at ? atol(at + strlen(key)) : -1;
}

static void soak_report(int round, double seconds)
{
	static const char *const names[] = { "MemFree", "Cached", "AnonPages", "Slab", "KernelStack", "PageTables", "VmallocUsed" };
	char text[8192] = "\n", line[512];
	int used = snprintf(line, sizeof(line), "memory round %d", round);

	if (tst_read_file("/proc/meminfo", text + 1, sizeof(text) - 1) < 0)
		tst_brk("/proc/meminfo: %s", tst_errno(errno));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		used += snprintf(line + used, sizeof(line) - used, " %s %ld", names[i], soak_memory(text, names[i]));
	printf("%s\n", line);
	printf("round %d took %.1f s:", round, seconds);
	for (int i = 0; i < soak_count; i++)
		printf(" %s %ld", soak_all[i]->name, soak_all[i]->progress);
	printf("\n");
	fflush(stdout);
}

/* Watches one round: until all have begun to get somewhere, for so long from then on, and until all have ended. */
static void soak_watch(double seconds)
{
	long seen[SOAK_MOST] = { 0 };
	long long moved[SOAK_MOST], now = tst_now(CLOCK_MONOTONIC), end = 0;

	for (int i = 0; i < soak_count; i++)
		moved[i] = now;
	for (;;) {
		int left = 0, begun = 0;

		stress_sleep(100000000);
		now = tst_now(CLOCK_MONOTONIC);
		if (end && now >= end && stress_running()) {
			__atomic_store_n(&stress_stopped, 1, __ATOMIC_RELEASE);
			for (int i = 0; i < soak_count; i++)
				moved[i] = now;
		}
		for (int i = 0; i < soak_count; i++) {
			long progress = __atomic_load_n(&soak_all[i]->progress, __ATOMIC_RELAXED);

			begun += progress > 0;
			if (__atomic_load_n(&soak_ended[i], __ATOMIC_ACQUIRE))
				continue;
			left++;
			if (progress != seen[i]) {
				seen[i] = progress;
				moved[i] = now;
			} else if (now - moved[i] > SOAK_PATIENCE * 1000000000LL) {
				tst_fail("%s hangs %s", soak_all[i]->name, stress_running() ? "in its work" : "at its end");
				_exit(TST_FAIL);
			}
		}
		if (!left)
			return;
		if (!end && begun == soak_count)
			end = now + seconds * 1e9;
	}
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 60, portion = argc > 2 ? atof(argv[2]) : 15;
	long long start = tst_now(CLOCK_MONOTONIC), now = start;

	if (argc > 3) {
		int chosen = 0;

		for (int i = 0; i < SOAK_MOST; i++)
			for (int j = 3; j < argc; j++)
				if (!strcmp(soak_all[i]->name, argv[j])) {
					soak_all[chosen++] = soak_all[i];
					break;
				}
		soak_count = chosen;
	}
	stress_block_signals();
	soak_report(0, 0);
	/* A few rounds at least, as memory is compared between them. */
	for (int round = 1; now < start + seconds * 1e9 || round <= 6; round++) {
		pthread_t threads[SOAK_MOST];
		long long begin = now, failures = 0;

		stress_stopped = 0;
		memset(soak_ended, 0, sizeof(soak_ended));
		for (long i = 0; i < soak_count; i++)
			if (pthread_create(&threads[i], NULL, soak_one, (void *)i))
				tst_brk("pthread_create");
		soak_watch(portion);
		for (int i = 0; i < soak_count; i++)
			pthread_join(threads[i], NULL);
		now = tst_now(CLOCK_MONOTONIC);
		soak_report(round, (now - begin) / 1e9);
		for (int i = 0; i < soak_count; i++) {
			failures += soak_all[i]->failures;
			if (!soak_all[i]->progress)
				tst_fail("%s did nothing", soak_all[i]->name);
		}
		if (failures)
			break;
	}
	for (int i = 0; i < soak_count; i++)
		CHECK(!soak_all[i]->failures, "%s: all adds up", soak_all[i]->name);
	return tst_done();
}
