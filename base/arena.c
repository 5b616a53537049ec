/*
 * base/arena.c: see base/arena.h.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"

#define ALIGN_BYTES       16u
#define CHUNK_FIRST_BYTES 4000u /* with malloc's header and ours: one page */
#define CHUNK_MAX_BYTES   (64u * 1024u)

struct arena_chunk {
    struct arena_chunk *next;
    size_t len_bytes;
    _Alignas(ALIGN_BYTES) char memory[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_init_fixed(struct arena *a, void *memory, size_t len_bytes)
{
    assert(((uintptr_t)memory & (ALIGN_BYTES - 1)) == 0);
    *a = (struct arena){.at = memory, .end = (char *)memory + len_bytes, .fixed = true};
}

__attribute__((noreturn)) static void die(const struct arena *a, size_t len_bytes)
{
    log_error("arena: no memory: wanted_bytes=%zu used_bytes=%zu kind=%s", len_bytes, a->used_bytes,
              a->fixed ? "fixed" : "heap");
    abort();
}

/* A chunk with room for len_bytes. A large object gets one of its own behind the current chunk,
 * whose rest stays in use. */
static char *grow(struct arena *a, size_t len_bytes)
{
    size_t chunk_bytes = a->chunks ? a->chunks->len_bytes * 2 : CHUNK_FIRST_BYTES;
    if (chunk_bytes > CHUNK_MAX_BYTES)
        chunk_bytes = CHUNK_MAX_BYTES;
    bool own = len_bytes > chunk_bytes / 2;
    if (own)
        chunk_bytes = len_bytes;
    struct arena_chunk *c = calloc(1, sizeof *c + chunk_bytes);
    if (!c)
        die(a, len_bytes);
    c->len_bytes = chunk_bytes;
    if (own && a->chunks) {
        c->next = a->chunks->next;
        a->chunks->next = c;
        return c->memory;
    }
    c->next = a->chunks;
    a->chunks = c;
    a->at = c->memory + len_bytes;
    a->end = c->memory + chunk_bytes;
    return c->memory;
}

void *arena_alloc(struct arena *a, size_t len_bytes)
{
    if (len_bytes > SIZE_MAX / 2)
        die(a, len_bytes);
    len_bytes = (len_bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (len_bytes == 0)
        len_bytes = ALIGN_BYTES; /* every result is a place of its own */
    char *p = a->at;
    if (p && (size_t)(a->end - p) >= len_bytes)
        a->at = p + len_bytes;
    else if (a->fixed)
        die(a, len_bytes);
    else
        p = grow(a, len_bytes);
    a->used_bytes += len_bytes;
    if (a->fixed)
        memset(p, 0, len_bytes); /* heap chunks come zeroed and are handed out once */
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(len >= 0);
    char *text = arena_alloc(a, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

void arena_free(struct arena *a)
{
    struct arena_chunk *next;
    for (struct arena_chunk *c = a->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    *a = (struct arena){0};
}
