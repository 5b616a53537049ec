/*
 * cli/snapshot.h: a private copy of what the table says at one moment, for the views: pools with
 * their backends, totals, processes. Two snapshots give rates. Reading takes no lock and works on
 * the table of a dead instance.
 */
#ifndef BALLAST_CLI_SNAPSHOT_H
#define BALLAST_CLI_SNAPSHOT_H

#include "cli/instance.h"
#include "shm/entry.h"
#include "shm/histo.h"
#include "cli/why.h"

struct snapshot_backend {
    uint32_t entry, incarnation;
    char name[NAME_MAX_BYTES], endpoint[NET_ADDR_STRLEN];
    enum entry_status status;
    bool backup;
    uint32_t weight, inflight, max_connections;
    uint64_t requests, failed, status_5xx;
    char why[WHY_BYTES]; /* it gets no new requests; "": it may */
    struct histo_sum histo;
};

struct snapshot_process {
    char title[24]; /* "worker 0", "health" */
    uint32_t pid, clients;
    enum slot_state state;
    uint64_t requests, restarts;
    uint64_t still_ms; /* for how long it has not moved: usually below 1000 */
};

struct snapshot_pool {
    char name[NAME_MAX_BYTES];
    uint32_t first, count; /* within snapshot.backends; worst status first */
    uint32_t usable, queue;
    uint64_t no_backend;
};

struct snapshot {
    uint64_t mono_us, wall_ms;
    bool alive;
    bool stopped; /* the master is: SIGSTOP */
    uint32_t pid, generation, workers, workers_ready, clients, max_connections;
    uint64_t started_wall_ms, restarts;
    uint64_t requests, finished, failed, aborted, status_5xx, bytes_in,
        bytes_out; /* over all listeners */
    struct histo_sum histo;
    struct snapshot_process processes[SLOT_MAX];
    uint32_t process_count;
    struct snapshot_pool *pools; /* those in trouble first */
    uint32_t pool_count;
    struct snapshot_backend *backends;
    uint32_t backend_count;
};

/* 0, or -1 without memory. */
int snapshot_take(struct snapshot *s, const struct instance *i) MUST_CHECK;
void snapshot_free(struct snapshot *s);
/* The same backend in an earlier snapshot, or NULL; hint: its place in the later one. */
const struct snapshot_backend *snapshot_match(const struct snapshot *earlier,
                                              const struct snapshot_backend *b, uint32_t hint);
/* Seconds between two snapshots; 0 when earlier is NULL. */
double snapshot_seconds(const struct snapshot *earlier, const struct snapshot *later);
/* out = later - earlier; earlier may be NULL. */
void snapshot_histo_since(struct histo_sum *out, const struct histo_sum *earlier,
                          const struct histo_sum *later);

#endif
