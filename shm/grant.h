/*
 * shm/grant.h: what the broker has granted to clients (programs with the client library): places in
 * flight, moved from the limits of the table to the lease of one client, which uses them without
 * asking again. entry.leased and pool.leased are the sums, reserved before acting as the lanes of
 * workers are, so that a limit is exact for workers and clients together.
 *
 * Only the broker writes here, one process at a time. Whose the places are stands in the table, not
 * in the broker: one that dies leaves them to its successor (grant_recover). A cell grows before
 * the sums and shrinks after them, so what a death leaves behind is a grant too many in the cell,
 * which is idle and comes back; never one too few.
 */
#ifndef BALLAST_SHM_GRANT_H
#define BALLAST_SHM_GRANT_H

#include "shm/count.h"

#define GRANT_MAX 1024u /* leases */

struct grant_row {
    _Alignas(CACHE_LINE) atom32 state; /* enum row_state: ROW_FREE or ROW_LIVE */
    atom32 pid;            /* the client's, as the broker sees it; 0: of another pid namespace */
    atom64 start_ticks;    /* /proc/PID/stat field 22: tells a reused pid; 0: unknown */
    atom64 id;             /* as the client says: one process may have several leases */
    atom32 cells_reserved; /* under the lock: its cells [0, cells_reserved) have memory */
    atom32 held;           /* the sum of its cells */
};

#define GRANT_COUNTERS(X)                                                                          \
    X(opened, "leases given to clients")                                                           \
    X(turned_away, "clients for whom there was no lease")                                          \
    X(died, "clients that ended while they used places")                                           \
    X(granted, "questions for a place that were granted")                                          \
    X(full, "questions that a limit did not allow")                                                \
    X(refused, "questions for a backend that takes no requests")                                   \
    X(places, "places granted: a question may be granted several")                                 \
    X(reclaimed, "places that such clients used, taken back")

/* Behind the last row. */
struct grant_totals {
#define X(name, help) atom64 name;
    GRANT_COUNTERS(X)
#undef X
};
_Static_assert(sizeof(struct grant_totals) == sizeof(struct grant_row), "it takes a row's place");

enum grant_result {
    GRANT_OK,
    GRANT_FULL,      /* the backend is at its limit */
    GRANT_POOL_FULL, /* the pool is, or its queue is not empty */
    GRANT_GONE       /* the row is not a live backend of this incarnation, or no memory */
};

/* Broker, at its start: memory for the rows. 0, or -1 with errno. */
int grant_prepare(struct table *t) MUST_CHECK;
/* Broker, at its start: rows of clients that are dead, or of whom nothing is known, are free; the
 * sums are those of the cells. */
void grant_recover(struct table *t);
/* A free row becomes the lease of this process. */
void grant_open(struct table *t, uint32_t row, uint32_t pid, uint64_t start_ticks, uint64_t id);
/* Gives back all it has. The row is free. */
void grant_close(struct table *t, uint32_t row);

/* Up to `want` places, *got of them, at least 1 with GRANT_OK. Of more than half a limit, only one
 * at a time. */
enum grant_result grant_take(struct table *t, uint32_t row, uint32_t entry, uint32_t incarnation,
                             uint32_t want, uint32_t *got);
void grant_give(struct table *t, uint32_t row, uint32_t entry, uint32_t count);
/* What the lease has of this backend; `entry` may be anything. */
uint32_t grant_held(const struct table *t, uint32_t row, uint32_t entry);

/* Tools: how many leases there are, and places altogether; false: nothing is ever lent here. */
bool grant_sum(const struct table *t, uint32_t *leases, uint64_t *held);

/* Is it the process that the row is about? False for rows of another pid namespace. */
bool grant_lives(const struct table *t, uint32_t row);
/* Start time of a process in ticks since boot; 0: unknown. */
uint64_t grant_start_ticks(uint32_t pid);

#endif
