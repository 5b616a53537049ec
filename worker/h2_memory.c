/* worker/h2_memory.c: memory of libnghttp2. Each stream takes and gives back a dozen small pieces:
 * they are kept by size, so that none of it reaches malloc in steady state. */
#include <stdlib.h>
#include <string.h>
#include "worker/h2_int.h"

#define HEAD_BYTES  16u /* before each piece: its class */
#define CLASS_SMALL 6u  /* 64 bytes */
#ifdef __SANITIZE_ADDRESS__
#define CLASS_LARGE 0u /* all are malloc's, so that a use after free is seen */
#else
#define CLASS_LARGE 11u /* 2 KiB; longer ones are malloc's */
#endif
#define KEPT_OF_CLASS 1024u

struct piece {
    struct piece *next; /* while kept */
    uint32_t class, bytes;
};
_Static_assert(sizeof(struct piece) == HEAD_BYTES, "what follows is aligned");

static struct piece *kept[CLASS_LARGE + 1];
static uint32_t kept_count[CLASS_LARGE + 1];

static uint32_t class_of(size_t bytes)
{
    uint32_t class = CLASS_SMALL;
    while (class <= CLASS_LARGE && ((size_t)1 << class) < bytes + HEAD_BYTES)
        class ++;
    return class;
}

static void *take(size_t bytes, void *data UNUSED)
{
    if (bytes > UINT32_MAX)
        return NULL;
    uint32_t class = class_of(bytes);
    struct piece *p = class <= CLASS_LARGE ? kept[class] : NULL;
    if (p) {
        kept[class] = p->next;
        kept_count[class]--;
    } else {
        p = malloc(class <= CLASS_LARGE ? (size_t)1 << class : bytes + HEAD_BYTES);
    }
    if (!p)
        return NULL;
    *p = (struct piece){NULL, class, (uint32_t)bytes};
    return p + 1;
}

static void give(void *at, void *data UNUSED)
{
    if (!at)
        return;
    struct piece *p = (struct piece *)at - 1;
    if (p->class > CLASS_LARGE || kept_count[p->class] >= KEPT_OF_CLASS) {
        free(p);
        return;
    }
    p->next = kept[p->class];
    kept[p->class] = p;
    kept_count[p->class]++;
}

static void *take_zeroed(size_t count, size_t bytes, void *data)
{
    if (bytes && count > SIZE_MAX / bytes)
        return NULL;
    void *at = take(count * bytes, data);
    return at ? memset(at, 0, count * bytes) : NULL;
}

static void *resize(void *at, size_t bytes, void *data)
{
    if (!at)
        return take(bytes, data);
    struct piece *p = (struct piece *)at - 1;
    size_t had = p->bytes;
    if (p->class <= CLASS_LARGE && bytes + HEAD_BYTES <= (size_t)1 << p->class) {
        p->bytes = (uint32_t)bytes;
        return at;
    }
    void *to = take(bytes, data);
    if (!to)
        return NULL;
    memcpy(to, at, had < bytes ? had : bytes);
    give(at, data);
    return to;
}

nghttp2_mem *h2_memory(void)
{
    static nghttp2_mem memory = {NULL, take, give, take_zeroed, resize};
    return &memory;
}
