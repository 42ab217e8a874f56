/* conform: timeout=60 */
/* Thousands of random mappings, changes of them, accesses and transfers in a small area, the same on both systems: each result, signal and byte counts. */
#include "../random.h"

#define PAGES 48
#define FILE_PAGES 12

static char *const area = (char *)0x100000000000;
static int files[2], scratch;

static void access_page(int page, bool writes)
{
	volatile char *byte = area + page * TST_PAGE + (rnd(2) ? rnd(16) : TST_PAGE - 1 - rnd(16));
	int signal = TST_FAULT(if (writes) *byte = rnd(256); else (void)*byte);
	unsigned char value = 0;

	if (!signal && !writes)
		value = *byte;
	note(signal << 16 | (signal ? tst_fault_info.si_code : value), "%s %d+%x", writes ? "store" : "load", page,
	     (unsigned)((uintptr_t)byte & 4095));
}

/* What the kernel says about each page of the area. */
static void show_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[400], shown[PAGES + 1];

	if (!maps)
		tst_brk("cannot read /proc/self/maps");
	memset(shown, '.', PAGES);
	shown[PAGES] = 0;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end, offset;
		char access[5], name[200] = "";

		if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %199s", &start, &end, access, &offset, name) < 4)
			tst_brk("a line of /proc/self/maps: %s", line);
		for (int page = 0; page < PAGES; page++) {
			uintptr_t at = (uintptr_t)area + page * TST_PAGE;

			if (at >= start && at < end) {
				int bits = (access[0] == 'r') | (access[1] == 'w') << 1 | (access[2] == 'x') << 2 | (access[3] == 's') << 3;

				shown[page] = 'A' + bits + (strstr(name, "conform") ? 32 : 0);
				if (strstr(name, "conform"))
					add_number(offset + at - start);
			}
		}
	}
	fclose(maps);
	add(shown, PAGES);
	note(0, "maps %s", shown);
}

static void one_step(void)
{
	static const int kinds[] = { MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE | MAP_ANONYMOUS };
	static char data[20 * TST_PAGE];
	int page = rnd(PAGES), count = 1 + rnd(rnd(3) ? 4 : 16), other = rnd(PAGES), more = 1 + rnd(8), access = rnd(8), kind, flags;
	char *at = area + page * TST_PAGE;
	long result, offset;
	size_t length = count * TST_PAGE - rnd(2) * rnd(TST_PAGE);

	if (page + count > PAGES)
		count = PAGES - page, length = count * TST_PAGE;
	if (other + more > PAGES)
		more = PAGES - other;
	switch (rnd(24)) {
	case 0:
	case 1:
	case 2:
		kind = kinds[rnd(5)];
		flags = kind | (rnd(4) ? MAP_FIXED : 0x100000) | (rnd(6) ? 0 : MAP_POPULATE) | (rnd(6) ? 0 : MAP_NORESERVE);
		offset = rnd(FILE_PAGES + 4) * TST_PAGE;
		result = (long)mmap(at, length, access, flags, kind & MAP_ANONYMOUS ? -1 : files[rnd(2)], kind & MAP_ANONYMOUS ? 0 : offset);
		note(result, "mmap %d %zx prot %d flags %x offset %lx", page, length, access, flags, offset);
		break;
	case 3:
		note(munmap(at, length), "munmap %d %zx", page, length);
		break;
	case 4:
	case 5:
		note(mprotect(at, length, access), "mprotect %d %zx %d", page, length, access);
		break;
	case 6:
	case 7:
	case 8:
		/* Only a new mapping of one kind: what else a failing mremap has done by then differs between versions of Linux. */
		kind = kinds[rnd(5)];
		offset = rnd(FILE_PAGES) * TST_PAGE;
		if (mmap(at, length, access, kind | MAP_FIXED, kind & MAP_ANONYMOUS ? -1 : files[0], kind & MAP_ANONYMOUS ? 0 : offset) != at)
			break;
		access_page(page, rnd(2));
		access_page(page + count - 1, true);
		switch (rnd(4)) {
		case 0:
			note((long)mremap(at, length, more * TST_PAGE, 0), "mremap %d %zx %d of %x", page, length, more, kind);
			break;
		case 1:
			note((long)mremap(at, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | 4, area + other * TST_PAGE), "mremap dontunmap %d %zx to %d of %x", page, length, other, kind);
			break;
		default:
			note((long)mremap(at, length, more * TST_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + other * TST_PAGE), "mremap %d %zx to %d %d of %x", page, length, other, more, kind);
			break;
		}
		break;
	case 9:
		flags = (int[]){ MADV_DONTNEED, MADV_REMOVE, MADV_WILLNEED, 22, 23 }[rnd(5)];
		note(madvise(at, length, flags), "madvise %d %zx %d", page, length, flags);
		break;
	case 10:
		flags = rnd(8);
		note(msync(at, length, flags), "msync %d %zx %d", page, length, flags);
		break;
	case 11:
		kind = rnd(2);
		offset = rnd((FILE_PAGES + 2) * TST_PAGE);
		note(ftruncate(files[kind], offset), "ftruncate %d %lx", kind, offset);
		break;
	case 12:
		kind = rnd(2);
		offset = rnd(FILE_PAGES * TST_PAGE);
		memset(data, rnd(256), length);
		note(pwrite(files[kind], data, length, offset), "pwrite %d %zx %lx", kind, length, offset);
		break;
	case 13:
		kind = rnd(2);
		offset = rnd(FILE_PAGES * TST_PAGE);
		at += rnd(TST_PAGE);
		if (at + length > area + PAGES * TST_PAGE)
			at -= TST_PAGE;
		note(pread(files[kind], at, length, offset), "pread %d to %lx %zx from %lx", kind, at - area, length, offset);
		break;
	case 14:
		at += rnd(TST_PAGE);
		if (at + length > area + PAGES * TST_PAGE)
			at -= TST_PAGE;
		result = pwrite(scratch, at, length, 0);
		note(result, "pwrite from %lx %zx", at - area, length);
		if (result > 0) {
			if (pread(scratch, data, result, 0) != result)
				tst_brk("scratch");
			add(data, result);
		}
		break;
	case 15:
		kind = rnd(2);
		offset = rnd(FILE_PAGES * TST_PAGE);
		result = pread(files[kind], data, length, offset);
		note(result, "pread %d %zx %lx", kind, length, offset);
		if (result > 0)
			add(data, result);
		break;
	case 16:
		flags = rnd(2);
		note(flags ? mlock(at, length) : munlock(at, length), "%s %d %zx", flags ? "mlock" : "munlock", page, length);
		break;
	default:
		access_page(page, rnd(2));
		break;
	}
}

static void operation(void)
{
	one_step();
	if (step % 200 == 199)
		show_maps();
}

int main(void)
{
	random_start();
	tst_catch_faults();
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "one", "two", "scratch" };
		int fd = MUST(open(tst_path(names[i]), O_RDWR | O_CREAT | O_EXCL, 0600));

		MUST(unlink(tst_path(names[i])));
		if (i < 2) {
			files[i] = fd;
			MUST(ftruncate(fd, FILE_PAGES * TST_PAGE));
		} else {
			scratch = fd;
		}
	}
	random_rounds(30, 200, operation);
	return tst_done();
}
