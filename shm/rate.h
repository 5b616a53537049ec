/*
 * shm/rate.h: rate limits, exact over all workers. A limit is a row of the table (shm/rate_rows.c)
 * and a hash table of fixed size: buckets of eight cells, a cell per key. All that decides about a
 * key is one atomic word, changed by compare-and-swap: no lock, and a process may be killed at any
 * instruction.
 *
 *   token bucket, leaky bucket   the word holds when the bucket will be empty of debt (the generic
 *       cell rate algorithm, ITU-T I.371): one timestamp is the whole state. A leaky bucket does
 *       not refuse what is ahead of its time, but says how long it waits
 *   sliding window   a log of the times of earlier admissions, in up to RATE_BLOCKS blocks. A block
 *       is used again when its last admission has left the window, so no window of that length ever
 *       holds more than the limit; to a limit of at most RATE_BLOCKS it is the exact log
 *
 * The time is CLOCK_MONOTONIC, the same in all processes; everything is rounded so that never more
 * is admitted than said. A key that was idle so long that nothing is owed needs no cell; when a
 * bucket is full, the cell goes that owes least: what is limited heavily stays, a flood of fresh
 * keys evicts fresh keys.
 *
 * Keys are 64-bit values under the instance's key (hash_bytes, hash_word): nobody can aim at
 * somebody else's cell.
 */
#ifndef BALLAST_SHM_RATE_H
#define BALLAST_SHM_RATE_H

#include "shm/count.h"

enum rate_algorithm { RATE_TOKEN_BUCKET, RATE_SLIDING_WINDOW, RATE_LEAKY_BUCKET };

#define RATE_UNIT_BYTES 4096u
#define RATE_UNITS      262144u /* 1 GiB of address space */
#define RATE_WAYS       8u
#define RATE_BLOCKS     28u /* a cell of a sliding window is 128 bytes then */
#define RATE_COUNT_MAX  1000000u
#define RATE_PERIOD_MAX 86400000u /* ms */

/* What a limit says. */
struct rate_spec {
    enum rate_algorithm algorithm;
    uint32_t count, period_ms; /* so many in so long */
    uint32_t burst;            /* depth of the bucket; sliding window: unused */
    uint32_t entries;          /* keys to have room for */
    bool quiet;                /* nobody wants to know what remains to those who are allowed */
};

/* The same, ready to count with. Made once per configuration (rate_compile), never changed. */
struct rate_plan {
    uint32_t algorithm, count;
    bool quiet;
    uint32_t shift; /* a unit of time is 2^shift us / count (sliding window: 2^shift us) */
    uint32_t interval, tolerance; /* units: between two, and how much ahead of time one may be */
    uint32_t window;              /* sliding window: units */
    uint32_t blocks, block_min, block_more; /* block_more of the blocks hold block_min + 1 */
    uint32_t buckets, cell_bytes;
    uint64_t idle_us; /* after so long without an admission nothing is owed */
};

/* A hash table of buckets * RATE_WAYS cells, zeroed at first. */
struct rate_table {
    const struct rate_plan *plan;
    char *base;
};

struct rate_verdict {
    bool allowed, evicted; /* evicted: another key lost what was known of it */
    uint64_t
        wait_us; /* allowed: how long it waits (leaky bucket); else: until one may be allowed */
    /* Of a quiet plan only when it is not allowed: */
    uint64_t reset_us;  /* until everything is free again */
    uint32_t remaining; /* that would be allowed now */
};

void rate_compile(const struct rate_spec *spec, struct rate_plan *out);
uint64_t rate_bytes(const struct rate_plan *plan); /* of its table */

/* Would it be allowed? Changes nothing. */
bool rate_peek(const struct rate_table *r, uint64_t key, uint64_t now_us, struct rate_verdict *v);
/* Counts one of this key, if it is allowed. */
bool rate_take(const struct rate_table *r, uint64_t key, uint64_t now_us, struct rate_verdict *v);

/* ---- rows: shm/rate_rows.c ---- */

/* A row for the limit of this name that says the same as before: what is known of its keys stays,
 * whatever generation it belongs to. Lock held. INDEX_NONE with errno: no memory, or too many. */
uint32_t rate_acquire(struct table *t, const char *name, uint64_t fingerprint,
                      const struct rate_plan *plan) MUST_CHECK;
/* Gives back the rows, and their memory, for which wanted is false. Lock held. */
void rate_sweep(struct table *t, const bool wanted[RATE_MAX]);
/* The table behind a row that is in use. */
struct rate_table rate_open(const struct table *t, uint32_t row, const struct rate_plan *plan);
/* Says true once when limiting begins: nothing was limited for a while before. */
bool rate_onset(struct table *t, uint32_t row, uint64_t now_us);
static inline struct rcell *rate_cell(const struct table *t, uint32_t slot, uint32_t row)
{
    return (struct rcell *)(void *)(t->rcells +
                                    ((size_t)slot * RATE_MAX + row) * sizeof(struct rcell));
}
/* Sum of one counter over all slots: offset is offsetof(struct rcell, passed) and the like. */
uint64_t rate_cell_sum(const struct table *t, uint32_t row, size_t offset);

#endif
