/* conform: libs=-lpthread timeout=60 */
/* The C library's allocator in many threads, small and large pieces, freed by others: nobody's memory is another's. */
#include "stress.h"

STRESSOR(heap, 1000)

enum { HEAP_SLOTS = 64, HEAP_THREADS = 4 };
struct heap_piece {
	size_t size;
	unsigned char mark, bytes[];
};
/* Pieces are left here for anybody to take. */
static struct heap_piece *heap_slot[HEAP_SLOTS];

static void heap_check(struct heap_piece *piece)
{
	for (size_t i = 0; i < piece->size; i += 1 + piece->size / 64)
		if (piece->bytes[i] != piece->mark) {
			stress_fail(&heap_self, "a piece holds %d, not %d", piece->bytes[i], piece->mark);
			return;
		}
	if (piece->size && piece->bytes[piece->size - 1] != piece->mark)
		stress_fail(&heap_self, "a piece's end holds %d", piece->bytes[piece->size - 1]);
}

static struct heap_piece *heap_new(unsigned *random)
{
	static const size_t sizes[] = { 24, 100, 500, 3000, 20000, 200000 };
	size_t size = stress_random(random) % sizes[stress_random(random) % 6];
	int zeroed = *random >> 10 & 1;
	struct heap_piece *piece = zeroed ? calloc(1, sizeof(*piece) + size) : malloc(sizeof(*piece) + size);

	if (!piece) {
		stress_fail(&heap_self, "malloc of %zu: %s", size, tst_errno(errno));
		return NULL;
	}
	if (zeroed)
		heap_check((piece->size = size, piece));
	piece->size = size;
	piece->mark = *random;
	memset(piece->bytes, piece->mark, size);
	return piece;
}

static void *heap_user(void *argument)
{
	unsigned random = (long)argument + 1;

	while (stress_running()) {
		struct heap_piece **slot = &heap_slot[stress_random(&random) % HEAP_SLOTS];
		struct heap_piece *piece = heap_new(&random), *old;

		if (piece && random % 16 == 0) {
			size_t size = piece->size + random % 5000;
			struct heap_piece *larger = realloc(piece, sizeof(*piece) + size);

			if (larger) {
				piece = larger;
				heap_check(piece);
				memset(piece->bytes, piece->mark, size);
				piece->size = size;
			}
		}
		old = __atomic_exchange_n(slot, piece, __ATOMIC_ACQ_REL);
		if (old) {
			heap_check(old);
			free(old);
		}
		stress_progress(&heap_self, 1);
	}
	return NULL;
}

static void heap_body(void)
{
	for (long i = 0; i < HEAP_THREADS; i++)
		stress_thread(&heap_self, heap_user, (void *)i);
	stress_join(&heap_self);
	for (int i = 0; i < HEAP_SLOTS; i++) {
		free(heap_slot[i]);
		heap_slot[i] = NULL;
	}
}
