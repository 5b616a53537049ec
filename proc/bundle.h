/*
 * proc/bundle.h: where a generation's configuration lives. The master reserves one range of
 * addresses before the first fork (bundle_reserve), which every child inherits, and cuts it into
 * places. A generation is a memfd mapped at one place: writable while the master builds it, then
 * sealed and mapped read-only; a child maps the same descriptor at the same address, so pointers
 * inside are valid everywhere. A place is reused when every process has released the generation
 * that was there.
 */
#ifndef BALLAST_PROC_BUNDLE_H
#define BALLAST_PROC_BUNDLE_H

#include "base/arena.h"
#include "conf/conf.h"

#define BUNDLE_PLACES      64u
#define BUNDLE_PLACE_BYTES (256ull << 20)

struct bundle {
    int fd;
    char *address;
    size_t len_bytes; /* after sealing: whole pages in use */
    uint32_t place;
    struct arena arena; /* while building */
    const struct conf *conf;
};

int bundle_reserve(char *why, size_t why_cap) MUST_CHECK; /* once, in the master, before any fork */
/* A free place and memory for it. 0, or -1 (all places in use, or no memory). */
int bundle_take(struct bundle *b) MUST_CHECK;
/* Maps it for building; what another process built there is there. 0, or -1 with errno. */
int bundle_open(struct bundle *b) MUST_CHECK;
/* Both. */
int bundle_begin(struct bundle *b) MUST_CHECK;
/* Who built it in another process lets go of it, so that it can be sealed. */
void bundle_leave(struct bundle *b);
/* Trims, seals, remaps read-only. 0 or -1. */
int bundle_seal(struct bundle *b, const struct conf *conf) MUST_CHECK;
/* Master: gives the place back. */
void bundle_end(struct bundle *b);
/* Child: maps an offered bundle; takes fd. NULL on failure with errno. */
const struct conf *bundle_map(int fd, uint64_t address, uint64_t len_bytes,
                              uint64_t root) MUST_CHECK;
/* Child: forgets the place that `inside` points into, leaving the reservation; nothing happens for
 * memory that is not a bundle's. */
void bundle_unmap(const void *inside);
/* Child, after fork: forgets every place but the one that `inside` points into. */
void bundle_keep_only(const void *inside);

#endif
