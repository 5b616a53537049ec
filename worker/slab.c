/* worker/slab.c */
#include "worker/slab.h"

#include <stdlib.h>

#define SLAB_CHUNK 32u

struct slab_link {
    struct slab_link *next;
};

void slab_init(struct slab *s, size_t object_bytes)
{
    *s = (struct slab){.object_bytes = (object_bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1)};
}

#ifdef __SANITIZE_ADDRESS__
void *slab_get(struct slab *s)
{
    s->in_use++;
    return malloc(s->object_bytes);
}

void slab_put(struct slab *s, void *object)
{
    s->in_use--;
    free(object);
}

void slab_free_all(struct slab *s)
{
    s->free = NULL;
}
#else
static bool grow(struct slab *s)
{
    char *chunk = malloc(CACHE_LINE + SLAB_CHUNK * s->object_bytes);
    if (!chunk)
        return false;
    ((struct slab_link *)(void *)chunk)->next = s->chunks;
    s->chunks = chunk;
    for (uint32_t i = 0; i < SLAB_CHUNK; i++) {
        struct slab_link *object =
            (struct slab_link *)(void *)(chunk + CACHE_LINE + i * s->object_bytes);
        object->next = s->free;
        s->free = object;
    }
    return true;
}

void *slab_get(struct slab *s)
{
    if (UNLIKELY(!s->free) && !grow(s))
        return NULL;
    struct slab_link *object = s->free;
    s->free = object->next;
    s->in_use++;
    return object;
}

void slab_put(struct slab *s, void *object)
{
    struct slab_link *link = object;
    link->next = s->free;
    s->free = link;
    s->in_use--;
}

void slab_free_all(struct slab *s)
{
    for (struct slab_link *chunk = s->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    s->chunks = s->free = NULL;
}
#endif
