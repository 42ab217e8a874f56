/* conform: libs=-lpthread timeout=60 */
/*
 * Memory that one thread maps, unmaps, protects, replaces and drops while others use it: what a call has changed holds for all
 * threads when it returns, and a page that went back to the system is not written by its former user.
 */
#include "stress.h"
#include <ucontext.h>

STRESSOR(shootdown, 100)

#ifndef FALLOC_FL_PUNCH_HOLE
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#endif

/* Loads and stores that give 1 where they fault: the handler knows their first instructions. */
extern int shootdown_load(const volatile void *from, long *to) __attribute__((visibility("hidden")));
extern int shootdown_store(volatile void *to, long value) __attribute__((visibility("hidden")));
extern int shootdown_faulted(void) __attribute__((visibility("hidden")));
__asm__(".text\n"
	"shootdown_load:\n\tmovq (%rdi), %rax\n\tmovq %rax, (%rsi)\n\txorl %eax, %eax\n\tret\n"
	"shootdown_store:\n\tmovq %rsi, (%rdi)\n\txorl %eax, %eax\n\tret\n"
	"shootdown_faulted:\n\tmovl $1, %eax\n\tret\n");

static void shootdown_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *at = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)info;
	if (*at == (greg_t)(uintptr_t)shootdown_load || *at == (greg_t)(uintptr_t)shootdown_store) {
		*at = (greg_t)(uintptr_t)shootdown_faulted;
		return;
	}
	/* Not ours: it happens again, and is fatal. */
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

/*
 * An area in a state that is known: a number that grows with each change, and what works. While a change is under way, nothing is
 * known. Whoever finds the same known state before and after an access knows what the access has to give.
 */
enum { SHOOTDOWN_KNOWN = 1, SHOOTDOWN_LOAD = 2, SHOOTDOWN_STORE = 4, SHOOTDOWN_BITS = 3 };
enum { SHOOTDOWN_PAGES = 40 };
struct shootdown_area {
	char *at;
	unsigned long state;
	long value;
	unsigned long uses;
	int file;
	long *file_view;
};
/* The first is read by others, the second is written by them. */
static struct shootdown_area shootdown_area[2];

static void shootdown_begin(struct shootdown_area *area)
{
	unsigned long number = (area->state >> SHOOTDOWN_BITS) + 1;

	__atomic_store_n(&area->state, number << SHOOTDOWN_BITS, __ATOMIC_SEQ_CST);
}

/* Everybody may look now; waits until some have. */
static void shootdown_end(struct shootdown_area *area, long value, int works)
{
	unsigned long uses = __atomic_load_n(&area->uses, __ATOMIC_RELAXED);

	area->value = value;
	__atomic_store_n(&area->state, area->state | SHOOTDOWN_KNOWN | works, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 200 && __atomic_load_n(&area->uses, __ATOMIC_RELAXED) < uses + 10; i++)
		sched_yield();
	stress_progress(&shootdown_self, 1);
}

static void *shootdown_reader(void *argument)
{
	struct shootdown_area *area = &shootdown_area[0];
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		unsigned long before = __atomic_load_n(&area->state, __ATOMIC_SEQ_CST);
		long wanted = area->value, value = -1;
		char *at = area->at + stress_random(&random) % SHOOTDOWN_PAGES * TST_PAGE;
		int faulted = shootdown_load(at, &value);

		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		__atomic_add_fetch(&area->uses, 1, __ATOMIC_RELAXED);
		if (!(before & SHOOTDOWN_KNOWN) || __atomic_load_n(&area->state, __ATOMIC_SEQ_CST) != before)
			continue;
		if (faulted != !(before & SHOOTDOWN_LOAD))
			stress_fail(&shootdown_self, "a load %s", faulted ? "faults on mapped memory" : "works on unmapped memory");
		else if (!faulted && value != wanted)
			stress_fail(&shootdown_self, "a load gives %ld, not %ld", value, wanted);
	}
	return NULL;
}

static void *shootdown_writer(void *argument)
{
	struct shootdown_area *area = &shootdown_area[1];
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		unsigned long before = __atomic_load_n(&area->state, __ATOMIC_SEQ_CST);
		char *at = area->at + stress_random(&random) % SHOOTDOWN_PAGES * TST_PAGE;
		/* All bits set: no pattern of others looks so. */
		int faulted = shootdown_store(at, -1);

		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		__atomic_add_fetch(&area->uses, 1, __ATOMIC_RELAXED);
		if (!(before & SHOOTDOWN_KNOWN) || __atomic_load_n(&area->state, __ATOMIC_SEQ_CST) != before)
			continue;
		if (faulted != !(before & SHOOTDOWN_STORE))
			stress_fail(&shootdown_self, "a store %s", faulted ? "faults on writable memory" : "works on read-only memory");
	}
	return NULL;
}

static char *shootdown_map(char *at, int flags, int file)
{
	char *mapped = mmap(at, SHOOTDOWN_PAGES * TST_PAGE, PROT_READ | PROT_WRITE, flags, file, 0);

	if (mapped == MAP_FAILED)
		tst_brk("mmap: %s", tst_errno(errno));
	return mapped;
}

static void shootdown_fill(char *at, long value)
{
	for (int page = 0; page < SHOOTDOWN_PAGES; page++)
		*(volatile long *)(at + page * TST_PAGE) = value;
}

/* Changes the first area in one way after another; most start from memory that holds the last number. */
static void *shootdown_changer(void *argument)
{
	struct shootdown_area *area = &shootdown_area[0];
	const size_t size = SHOOTDOWN_PAGES * TST_PAGE;
	unsigned random = 77;
	long value = 0;

	(void)argument;
	while (stress_running()) {
		int works = SHOOTDOWN_LOAD;
		char *other;

		value++;
		shootdown_begin(area);
		switch (stress_random(&random) % 9) {
		case 0: /* Replaced by other memory that is ready. */
			other = shootdown_map(NULL, MAP_PRIVATE | MAP_ANONYMOUS, -1);
			shootdown_fill(other, value);
			if (mremap(other, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, area->at) != area->at)
				stress_fail(&shootdown_self, "mremap: %s", tst_errno(errno));
			break;
		case 1: /* By new memory. */
			shootdown_map(area->at, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
			value = 0;
			break;
		case 2: /* By a file's pages. */
			for (int page = 0; page < SHOOTDOWN_PAGES; page++)
				area->file_view[page * TST_PAGE / sizeof(long)] = value;
			shootdown_map(area->at, MAP_SHARED | MAP_FIXED, area->file);
			break;
		case 3: /* Read from a file's pages by all, then private by a store. */
			for (int page = 0; page < SHOOTDOWN_PAGES; page++)
				area->file_view[page * TST_PAGE / sizeof(long)] = value;
			shootdown_map(area->at, MAP_PRIVATE | MAP_FIXED, area->file);
			shootdown_end(area, value, works);
			shootdown_begin(area);
			shootdown_fill(area->at, ++value);
			break;
		case 4: /* Dropped: zeros, and then a store in place of the zeros. */
			shootdown_map(area->at, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
			shootdown_fill(area->at, value);
			shootdown_end(area, value, works);
			shootdown_begin(area);
			STRESS_MUST(&shootdown_self, madvise(area->at, size, MADV_DONTNEED));
			shootdown_end(area, 0, works);
			shootdown_begin(area);
			shootdown_fill(area->at, ++value);
			break;
		case 5:
			STRESS_MUST(&shootdown_self, munmap(area->at, size));
			works = 0;
			break;
		case 6: /* Forbidden for a while, not changed. */
			shootdown_map(area->at, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
			shootdown_fill(area->at, value);
			shootdown_end(area, value, works);
			shootdown_begin(area);
			STRESS_MUST(&shootdown_self, mprotect(area->at, size, PROT_NONE));
			shootdown_end(area, value, 0);
			shootdown_begin(area);
			STRESS_MUST(&shootdown_self, mprotect(area->at, size, PROT_READ));
			break;
		case 7: /* Moved away. */
			shootdown_map(area->at, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
			shootdown_fill(area->at, value);
			shootdown_end(area, value, works);
			shootdown_begin(area);
			other = mremap(area->at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, area->at + 2 * size);
			if (other != area->at + 2 * size)
				stress_fail(&shootdown_self, "mremap: %s", tst_errno(errno));
			works = 0;
			break;
		case 8: /* The file's pages are taken away under the mapping. */
			for (int page = 0; page < SHOOTDOWN_PAGES; page++)
				area->file_view[page * TST_PAGE / sizeof(long)] = value;
			shootdown_map(area->at, MAP_SHARED | MAP_FIXED, area->file);
			shootdown_end(area, value, works);
			shootdown_begin(area);
			STRESS_MUST(&shootdown_self,
				    fallocate(area->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size));
			value = 0;
			break;
		}
		shootdown_end(area, value, works);
		/* Zero stands for nothing: numbers go on. */
		value = area->state >> SHOOTDOWN_BITS << 8;
	}
	return NULL;
}

/* Changes the second area; while it cannot be written, nothing in it changes. */
static void *shootdown_protector(void *argument)
{
	struct shootdown_area *area = &shootdown_area[1];
	const size_t size = SHOOTDOWN_PAGES * TST_PAGE;
	unsigned random = 99;

	(void)argument;
	while (stress_running()) {
		int part = stress_random(&random) % SHOOTDOWN_PAGES * TST_PAGE;

		shootdown_begin(area);
		switch (random >> 8 & 3) {
		case 0:
		case 1:
			/* Read-only: what this thread writes elsewhere in the page's place stays. */
			STRESS_MUST(&shootdown_self, mprotect(area->at, size, PROT_READ));
			shootdown_end(area, 0, SHOOTDOWN_LOAD);
			for (int page = 0; page < SHOOTDOWN_PAGES; page++) {
				long *word = (long *)(area->at + page * TST_PAGE);

				if (*(volatile long *)word != 0 && *(volatile long *)word != -1)
					stress_fail(&shootdown_self, "a page holds %ld", *word);
			}
			break;
		case 2:
			STRESS_MUST(&shootdown_self, munmap(area->at, size));
			shootdown_end(area, 0, 0);
			shootdown_begin(area);
			shootdown_map(area->at, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
			break;
		case 3:
			/* A part is dropped while it is written: no state changes. */
			STRESS_MUST(&shootdown_self, mprotect(area->at, size, PROT_READ | PROT_WRITE));
			shootdown_end(area, 0, SHOOTDOWN_LOAD | SHOOTDOWN_STORE);
			STRESS_MUST(&shootdown_self, madvise(area->at + part, size - part, MADV_DONTNEED));
			continue;
		}
		shootdown_begin(area);
		STRESS_MUST(&shootdown_self, mprotect(area->at, size, PROT_READ | PROT_WRITE));
		shootdown_end(area, 0, SHOOTDOWN_LOAD | SHOOTDOWN_STORE);
	}
	return NULL;
}

/* Takes and gives back memory of its own, in the hope of pages that somebody still writes to. */
static void *shootdown_owner(void *argument)
{
	unsigned random = (long)argument + 5;

	for (long round = 1; stress_running(); round++) {
		int pages = 1 + stress_random(&random) % 64;
		long pattern = (long)argument << 32 | round;
		long *at = mmap(NULL, pages * TST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED) {
			stress_fail(&shootdown_self, "mmap: %s", tst_errno(errno));
			continue;
		}
		for (int again = 0; again < 2; again++) {
			for (int i = 0; i < pages * 512; i += 512) {
				if (at[i])
					stress_fail(&shootdown_self, "a new page holds %ld", at[i]);
				at[i] = pattern;
			}
			if (random & 4096)
				sched_yield();
			for (int i = 0; i < pages * 512; i += 512)
				if (at[i] != pattern)
					stress_fail(&shootdown_self, "a page of this thread holds %ld", at[i]);
			if (!again)
				STRESS_MUST(&shootdown_self, madvise(at, pages * TST_PAGE, MADV_DONTNEED));
		}
		STRESS_MUST(&shootdown_self, munmap(at, pages * TST_PAGE));
		stress_progress(&shootdown_self, 1);
	}
	return NULL;
}

static void shootdown_body(void)
{
	const size_t size = SHOOTDOWN_PAGES * TST_PAGE;

	/* Faults may come while a stressor's handler runs: nothing is blocked meanwhile but themselves. */
	struct sigaction action = { .sa_sigaction = shootdown_fault, .sa_flags = SA_SIGINFO };

	MUST(sigaction(SIGSEGV, &action, NULL));
	MUST(sigaction(SIGBUS, &action, NULL));
	for (int i = 0; i < 2; i++) {
		struct shootdown_area *area = &shootdown_area[i];

		/* Far below what the system chooses by itself, so that holes stay holes. */
		area->at = (char *)0x1000000000 + i * 0x100000000;
		shootdown_map(area->at, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
		area->state = 0;
		area->file = MUST(memfd_create("shootdown", 0));
		MUST(ftruncate(area->file, size));
		area->file_view = (long *)shootdown_map(NULL, MAP_SHARED, area->file);
	}
	stress_thread(&shootdown_self, shootdown_changer, NULL);
	stress_thread(&shootdown_self, shootdown_protector, NULL);
	for (long i = 0; i < 2; i++) {
		stress_thread(&shootdown_self, shootdown_reader, (void *)i);
		stress_thread(&shootdown_self, shootdown_writer, (void *)i);
		stress_thread(&shootdown_self, shootdown_owner, (void *)i);
	}
	stress_join(&shootdown_self);
	for (int i = 0; i < 2; i++) {
		MUST(munmap(shootdown_area[i].at, 4 * size));
		MUST(munmap(shootdown_area[i].file_view, size));
		MUST(close(shootdown_area[i].file));
	}
}
