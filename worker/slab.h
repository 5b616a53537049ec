/*
 * worker/slab.h: objects of one size, kept for reuse: no malloc in steady state. Under
 * AddressSanitizer every object is its own allocation, so that a use after free is seen. Objects
 * come zeroed where stated by slab_get0.
 */
#ifndef BALLAST_WORKER_SLAB_H
#define BALLAST_WORKER_SLAB_H

#include "base/base.h"

struct slab {
    size_t object_bytes;
    void *free;
    void *chunks;
    uint32_t in_use;
};
void slab_init(struct slab *s, size_t object_bytes);
void slab_free_all(struct slab *s);
void *slab_get(struct slab *s) MUST_CHECK; /* NULL: no memory */
void slab_put(struct slab *s, void *object);

#endif
