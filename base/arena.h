/*
 * base/arena.h: bump allocation that is freed as a whole. Two backings: a chain of malloc'd chunks
 * (arena_init), or one caller-given range of memory that cannot grow (arena_init_fixed; used for a
 * generation's configuration, which lives in a memfd mapped at the same address in every process).
 * Memory is zeroed. Not thread-safe.
 */
#ifndef BALLAST_BASE_ARENA_H
#define BALLAST_BASE_ARENA_H

#include "base/base.h"

struct arena_chunk;
struct arena {
    char *at, *end;             /* free part of the current chunk */
    struct arena_chunk *chunks; /* NULL for a fixed arena */
    size_t used_bytes;
    bool fixed;
};

void arena_init(struct arena *a);
void arena_init_fixed(struct arena *a, void *memory, size_t len_bytes);
/* Zeroed, 16-byte aligned. A full fixed arena or no memory aborts the process with a log line (it
 * is a sizing bug: callers bound their input first). Not attribute malloc: a fixed arena's objects
 * lie in memory that its owner may also read. */
void *arena_alloc(struct arena *a, size_t len_bytes) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_strndup(struct arena *a, const char *s, size_t len) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
void arena_free(struct arena *a);

#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

#endif
