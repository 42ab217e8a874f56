/* The vDSO (vdso(7)): an ELF object with the symbols that C libraries look for, whose functions agree with the system calls. */
#include "../tst.h"
#include <sys/file.h>
#include <elf.h>
#include <sys/auxv.h>
#include <sys/time.h>

static const char *base;
static const Elf64_Sym *symbols;
static const char *strings;
static const uint32_t *hash, *gnu_hash;
static const uint16_t *versions;
static const Elf64_Verdef *definitions;

static int is_version(unsigned index)
{
	for (const Elf64_Verdef *def = definitions;; def = (const void *)((const char *)def + def->vd_next)) {
		const Elf64_Verdaux *aux = (const void *)((const char *)def + def->vd_aux);

		if (def->vd_ndx == (index & 0x7fff))
			return !(def->vd_flags & VER_FLG_BASE) && !strcmp(strings + aux->vda_name, "LINUX_2.6");
		if (!def->vd_next)
			return 0;
	}
}

/* Through whichever hash table there is: Linux leaves out one or the other. */
static void *lookup(const char *name)
{
	const Elf64_Sym *found = NULL;

	if (gnu_hash) {
		uint32_t wanted = 5381, count = gnu_hash[0], first = gnu_hash[1];
		const uint32_t *buckets = gnu_hash + 4 + 2 * gnu_hash[2];

		for (const char *c = name; *c; c++)
			wanted = wanted * 33 + (unsigned char)*c;
		for (uint32_t i = buckets[wanted % count]; i; i++) {
			uint32_t entry = buckets[count + i - first];

			if ((entry | 1) == (wanted | 1) && !strcmp(strings + symbols[i].st_name, name))
				found = &symbols[i];
			if (entry & 1)
				break;
		}
	}
	if (hash) {
		uint32_t wanted = 0, i;

		for (const char *c = name; *c; c++) {
			wanted = (wanted << 4) + (unsigned char)*c;
			wanted ^= (wanted & 0xf0000000) >> 24;
			wanted &= 0x0fffffff;
		}
		for (i = hash[2 + wanted % hash[0]]; i; i = hash[2 + hash[0] + i])
			if (!strcmp(strings + symbols[i].st_name, name))
				break;
		if (found && found != &symbols[i])
			tst_fail("the hash tables disagree about %s", name);
		found = i ? &symbols[i] : NULL;
	}
	if (!found || !found->st_shndx || ELF64_ST_TYPE(found->st_info) != STT_FUNC)
		return NULL;
	if (versions && !is_version(versions[found - symbols]))
		return NULL;
	return (void *)(base + found->st_value);
}

static void parse(void)
{
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Phdr *part = (const void *)(base + header->e_phoff);
	const Elf64_Dyn *dynamic = NULL;
	int loads = 0, unwind = 0;
	const char *name = "";
	unsigned long soname = 0;

	CHECK(!memcmp(header->e_ident, ELFMAG, SELFMAG), "AT_SYSINFO_EHDR points to an ELF header");
	CHECK(header->e_type == ET_DYN && header->e_machine == EM_X86_64, "of a shared object for this machine");
	for (int i = 0; i < header->e_phnum; i++) {
		loads += part[i].p_type == PT_LOAD;
		unwind += part[i].p_type == PT_GNU_EH_FRAME;
		if (part[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(base + part[i].p_offset);
	}
	CHECK_EQ(loads, 1);
	CHECK_EQ(unwind, 1);
	if (!dynamic)
		tst_brk("no dynamic section");
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		const void *place = base + dynamic->d_un.d_ptr;

		switch (dynamic->d_tag) {
		case DT_STRTAB: strings = place; break;
		case DT_SYMTAB: symbols = place; break;
		case DT_HASH: hash = place; break;
		case DT_GNU_HASH: gnu_hash = place; break;
		case DT_VERSYM: versions = place; break;
		case DT_VERDEF: definitions = place; break;
		case DT_SONAME: soname = dynamic->d_un.d_val; break;
		}
	}
	CHECK(strings && symbols && (hash || gnu_hash) && versions && definitions, "it has all tables");
	if (strings)
		name = strings + soname;
	CHECK_STR(name, "linux-vdso.so.1");
}

/* Each reading is not before a system call's before it and not after one's after it. */
static void between(int (*get)(clockid_t, struct timespec *), clockid_t clock, const char *name)
{
	long long before, now, after;
	struct timespec time;
	int wrong = 0, failed = 0;

	for (int i = 0; i < 1000; i++) {
		MUST(syscall(SYS_clock_gettime, clock, &time));
		before = time.tv_sec * 1000000000LL + time.tv_nsec;
		failed += get(clock, &time) != 0 || time.tv_nsec < 0 || time.tv_nsec > 999999999;
		now = time.tv_sec * 1000000000LL + time.tv_nsec;
		MUST(syscall(SYS_clock_gettime, clock, &time));
		after = time.tv_sec * 1000000000LL + time.tv_nsec;
		wrong += now < before || now > after;
	}
	CHECK(!failed && !wrong, "%s agrees with the system call", name);
}

/* The clock is everybody's: only one program changes it at a time. */
static void lock_clock(int how)
{
	int fd = open("/tmp/conform-clock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || flock(fd, how))
		tst_brk("cannot lock /tmp/conform-clock: %s", tst_errno(errno));
}

static void functions(void)
{
	static const char *const names[] = { "clock_gettime", "gettimeofday", "time", "clock_getres", "getcpu" };
	static const struct {
		clockid_t id;
		const char *name;
	} clocks[] = {
		{ CLOCK_REALTIME, "CLOCK_REALTIME" },
		{ CLOCK_MONOTONIC, "CLOCK_MONOTONIC" },
		{ CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID" },
		{ CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID" },
		{ CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW" },
		{ CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE" },
		{ CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE" },
		{ CLOCK_BOOTTIME, "CLOCK_BOOTTIME" },
		{ CLOCK_TAI, "CLOCK_TAI" },
	};
	int (*get)(clockid_t, struct timespec *) = lookup("__vdso_clock_gettime");
	int (*resolution)(clockid_t, struct timespec *) = lookup("__vdso_clock_getres");
	int (*day)(struct timeval *, struct timezone *) = lookup("__vdso_gettimeofday");
	time_t (*seconds)(time_t *) = lookup("__vdso_time");
	long (*cpu)(unsigned *, unsigned *, void *) = lookup("__vdso_getcpu");
	struct timespec mine, kernels;
	struct timezone zone = { 1, 2 }, own_zone = { 3, 4 };
	struct timeval now;
	time_t stored = 0, told;
	unsigned numbers[2] = { -1, -1 };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char name[32];

		snprintf(name, sizeof(name), "__vdso_%s", names[i]);
		CHECK(lookup(name), "%s is there", name);
		CHECK(lookup(names[i]) == lookup(name), "and so is %s", names[i]);
	}
	CHECK(!lookup("__vdso_no_such_thing"), "another name is not");
	if (!get || !resolution || !day || !seconds || !cpu)
		tst_brk("functions are missing");
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		between(get, clocks[i].id, clocks[i].name);
		CHECK_EQ(resolution(clocks[i].id, &mine), 0);
		MUST(syscall(SYS_clock_getres, clocks[i].id, &kernels));
		CHECK(mine.tv_sec == kernels.tv_sec && mine.tv_nsec == kernels.tv_nsec, "its resolution, too");
	}
	CHECK_EQ(resolution(CLOCK_MONOTONIC, NULL), 0);
	CHECK_EQ(get(99, &mine), -EINVAL);
	CHECK_EQ(get(-1, &mine), -EINVAL);
	CHECK_EQ(get(32, &mine), -EINVAL);
	CHECK_EQ(get(CLOCK_PROCESS_CPUTIME_ID, tst_bad), -EFAULT);
	CHECK_EQ(resolution(99, &mine), -EINVAL);
	CHECK_EQ(resolution(-1, NULL), -EINVAL);

	CHECK_EQ(day(&now, &zone), 0);
	MUST(syscall(SYS_gettimeofday, NULL, &own_zone));
	CHECK(zone.tz_minuteswest == own_zone.tz_minuteswest && zone.tz_dsttime == own_zone.tz_dsttime, "the time zone");
	CHECK(now.tv_usec >= 0 && now.tv_usec < 1000000 && llabs(now.tv_sec - tst_now(CLOCK_REALTIME) / 1000000000) <= 1,
	      "the time of day");
	CHECK_EQ(day(NULL, NULL), 0);
	CHECK_EQ(day(NULL, &zone), 0);
	told = seconds(&stored);
	CHECK(told == stored && llabs(told - tst_now(CLOCK_REALTIME) / 1000000000) <= 1, "the time in seconds");
	CHECK(seconds(NULL) - told <= 1, "with and without a pointer");
	CHECK_EQ(cpu(&numbers[0], &numbers[1], NULL), 0);
	CHECK(numbers[0] < (unsigned)sysconf(_SC_NPROCESSORS_CONF), "the CPU is one of those there are");
	CHECK_EQ(numbers[1], 0);
	CHECK_EQ(cpu(NULL, NULL, NULL), 0);
}

/* The line of /proc/self/maps that ends with this name. */
static int find(const char *name, unsigned long *start, unsigned long *end, char *protection)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];
	int found = 0;

	while (file && !found && fgets(line, sizeof(line), file)) {
		size_t at = strlen(line) - strlen(name) - 1;

		line[strlen(line) - 1] = 0;
		found = strlen(line) > strlen(name) && !strcmp(line + at, name) &&
			sscanf(line, "%lx-%lx %4s", start, end, protection) == 3;
	}
	fclose(file);
	return found;
}

static void mapping(void)
{
	unsigned long start = 0, end = 0, data = 0, data_end = 0, size;
	char protection[8] = "";

	CHECK(find("[vdso]", &start, &end, protection), "/proc/self/maps has [vdso]");
	CHECK_EQ(start, (unsigned long)base);
	CHECK_STR(protection, "r-xp");
	CHECK(find("[vvar]", &data, &data_end, protection), "and [vvar]");
	CHECK_STR(protection, "r--p");
	CHECK(data_end <= start, "which lies below it");
	size = end - start;
	if (!data)
		tst_brk("no data page");

	CHECK_ERR(mprotect((void *)data, data_end - data, PROT_READ | PROT_WRITE), EACCES);
	CHECK_ERR(mprotect((void *)data, data_end - data, PROT_READ | PROT_EXEC), EACCES);
	CHECK_ERR(madvise((void *)data, data_end - data, MADV_DONTNEED), EINVAL);
	CHECK_OK(madvise((void *)start, size, MADV_DONTNEED));
	CHECK(!memcmp(base, ELFMAG, 4), "the object is still there after MADV_DONTNEED");
	CHECK_ERR(mremap((void *)start, size, size + TST_PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_OK(mlock((void *)start, size));
	CHECK_OK(munlock((void *)start, size));
	CHECK_OK(mprotect((void *)start, size, PROT_READ | PROT_WRITE | PROT_EXEC));
	((char *)base)[8] = 42;
	CHECK_EQ(base[8], 42);
	CHECK_OK(mprotect((void *)start, size, PROT_READ | PROT_EXEC));
	tst_catch_faults();
	CHECK_EQ(TST_WRITE(start), SIGSEGV);
	CHECK_EQ(TST_WRITE(data), SIGSEGV);
	CHECK_OK(munmap((void *)start, size));
	CHECK_EQ(TST_READ(start), SIGSEGV);
	CHECK(!find("[vdso]", &start, &end, protection), "it is gone after munmap");
	CHECK_OK(munmap((void *)data, data_end - data));
	CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &(struct timespec){ 0, 0 }), 0);
}

int main(void)
{
	base = (const char *)getauxval(AT_SYSINFO_EHDR);
	if (!base)
		tst_brk("no AT_SYSINFO_EHDR");
	parse();
	lock_clock(LOCK_SH);
	functions();
	mapping();
	fflush(stdout);
	_exit(tst_done());
}
