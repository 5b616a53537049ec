/*
 * admin/view.h: the table as the API shows it: sums over all slots, the members of pools in order,
 * ids. Everything here is a private copy of one moment.
 */
#ifndef BALLAST_ADMIN_VIEW_H
#define BALLAST_ADMIN_VIEW_H

#include "base/json.h"
#include "conf/conf.h"
#include "shm/entry.h"
#include "shm/histo.h"
#include "shm/layout.h"
#include "shm/pool.h"

#define VIEW_ID_BYTES (2 * NAME_MAX_BYTES)

/* One backend's totals. The members are named as in struct cell. */
struct view_cell {
#define X(name, help) uint64_t name;
    CELL_COUNTERS(X)
#undef X
    struct histo_sum histo;
};
/* One listener's totals. */
struct view_lcell {
#define X(name, help) uint64_t name;
    LCELL_COUNTERS(X)
#undef X
    uint64_t active;
    struct histo_sum histo;
};

void view_cell_load(struct view_cell *out, const struct table *t, uint32_t entry);
void view_lcell_load(struct view_lcell *out, const struct table *t, uint32_t listener);
void view_lcell_clear(struct view_lcell *out);
/* out += add, the histogram included. */
void view_lcell_add(struct view_lcell *out, const struct view_lcell *add);
/* Mean of sum_us over count in seconds, 0 when there is nothing. */
double view_mean_seconds(uint64_t sum_us, uint64_t count);

/* Indexes of live pools, in table order; malloc'd, *count of them. NULL only without memory. */
uint32_t *view_pools(const struct table *t, uint32_t *count);
uint32_t *view_listeners(const struct table *t, uint32_t *count);
/* Members of one pool in order (pool INDEX_NONE: of all pools, pool by pool). */
uint32_t *view_members(const struct table *t, uint32_t pool, uint32_t *count);

/* How many members are in each state. */
struct view_census {
    uint32_t total, usable;
    uint32_t by_status[STATUS_UNKNOWN + 1];
};
void view_census_take(struct view_census *out, const struct table *t, uint32_t pool);

/* Workers that serve: started, ready, alive as far as the master knows. */
uint32_t view_workers_ready(const struct table *t);

/* The longest silence of a process that should move: age of its heartbeat; *slot: whose. */
uint64_t view_silence_us(const struct table *t, uint32_t *slot);
#define VIEW_SILENT_US 3000000u /* longer is a symptom */
/* "the health process has not moved for 3.2 s" */
void view_silence_text(const struct table *t, uint32_t slot, uint64_t age_us, char *out,
                       size_t cap);

/* "pool:name" */
char *view_id(const struct table *t, uint32_t entry, char out[VIEW_ID_BYTES]);
/* Finds {id}: "pool:name", or a name that one pool has. INDEX_NONE with *several set when more than
 * one pool has it. */
uint32_t view_find(const struct table *t, const char *id, bool *several);

const struct conf_pool *view_conf_pool(const struct conf *c, uint32_t row);
const struct conf_listener *view_conf_listener(const struct conf *c, uint32_t row);

/* key: {p50, p90, p99, p999} in seconds */
void view_quantiles(struct json *j, const char *key, const struct histo_sum *histo);

#endif
