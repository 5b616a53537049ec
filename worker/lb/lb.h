/*
 * worker/lb/lb.h: what a balancing algorithm is: a pure function that names one member of a pool.
 * It sees the table, a view of the pool's usable members and the request's key, and nothing else:
 * no system call, no allocation, no clock. The caller reserves the place (entry_reserve) and, when
 * that fails or the attempt does, adds the member to `tried` and asks again.
 *
 * A view is private to a process, rebuilt by lb_view_refresh when pool_row.change moved: usable
 * members in list order and whatever the algorithm precomputes (build). Exactness across workers
 * comes from the shared cursor and lanes in the table.
 */
#ifndef BALLAST_WORKER_LB_LB_H
#define BALLAST_WORKER_LB_LB_H

#include "base/base.h"
#include "base/hash.h"
#include "shm/entry.h"
#include "shm/hashtable.h"
#include "shm/loads.h"
#include "shm/pool.h"
#include "shm/ramp.h"

#define LB_TRIED_MAX 16u

struct lb_member {
    uint32_t entry;
    uint32_t weight; /* in parts of RAMP_FULL: a member in slow start has less */
};

struct lb_algorithm;
struct lb_own;

struct lb_view {
    const struct lb_algorithm *algorithm;
    struct table *table;
    atom64 *cursor;    /* the pool's; of a table that is only read: own_cursor */
    atom64 own_cursor; /* begins where the pool's is: so it names who comes next */
    atom64 *probe_us;  /* least_response_time: the pool's; of a table that is only read: NULL */
    atom32 *probe_at;
    struct lb_own *own; /* what a reader knows beside the table (worker/lb/own.h); NULL: nothing */
    uint32_t pool;      /* row */
    uint32_t change;    /* pool_row.change this view was built from */
    unsigned rank;      /* of the members: entry_rank */
    bool built;
    struct lb_member *members; /* usable ones: primaries, or backups when no primary is usable */
    uint32_t count, cap;
    uint64_t weight_sum;
    uint64_t ramp_next_us; /* a member's slow start goes on then; 0: none is in it */
    uint32_t *schedule;    /* weighted_round_robin: member numbers in order */
    uint32_t schedule_len, schedule_cap;
};

struct lb_request {
    uint64_t key;                 /* hash of the configured key */
    uint64_t now_us;              /* clock_mono_us, as of late */
    uint64_t random;              /* drawn by the caller: an algorithm has no state of its own */
    uint32_t tried[LB_TRIED_MAX]; /* entry indexes */
    uint32_t tried_count;
    bool placed;    /* the pool's place is reserved: it is counted in */
    bool unbounded; /* max_load does not count: nobody was found within it */
};

/* What the caller hashes into lb_request.key. */
enum lb_key { LB_KEY_NONE, LB_KEY_CONFIGURED, LB_KEY_CLIENT, LB_KEY_URI };

struct lb_algorithm {
    const char *name;
    const char *alias; /* or NULL */
    const char *help;  /* one sentence, for the docs table */
    const char *cost;  /* "O(1)" */
    enum lb_key key;
    enum hashtable_kind table; /* the master has it built for the pool: lb_prepare */
    enum loads_kind loads;     /* and these kept */
    /* Precomputes for the view's members; may allocate. 0, or -1 no memory. NULL: nothing to do. */
    int (*build)(struct lb_view *v);
    /* The entry index of a member not yet tried, or INDEX_NONE. The caller checks that the entry is
     * still of the pool. */
    uint32_t (*select)(const struct lb_view *v, const struct lb_request *r);
};

extern const struct lb_algorithm *const lb_algorithms[]; /* NULL-terminated */
const struct lb_algorithm *lb_find(const char *name);

/* The view must not move afterwards. */
void lb_view_init(struct lb_view *v, struct table *t, uint32_t pool, const struct lb_algorithm *a);
void lb_view_free(struct lb_view *v);
/* Rebuilds when the pool changed since; cheap (one load) when not. 0, or -1 no memory: the old view
 * stays, or nobody is in it; the next call tries again. */
int lb_view_refresh(struct lb_view *v, uint64_t now_us) MUST_CHECK;

/* Has the table keep for the pool what the algorithm needs. Master; the lock is held. */
void lb_prepare(struct table *t, uint32_t pool, const struct lb_algorithm *a);
/* What lb_prepare said last, for those who have no configuration; NULL: nothing yet. */
const struct lb_algorithm *lb_of_pool(const struct table *t, uint32_t pool);
/* What is hashed for it with this hash_key. */
enum pool_key lb_key_kind(const struct lb_algorithm *a, const char *hash_key);

/* May this entry index, out of a hash table, be picked for this view and request? */
bool lb_acceptable(const struct lb_view *v, const struct lb_request *r, uint32_t entry);
/* May a member have `more` requests in addition to those in flight and stay within the pool's
 * max_load (Mirrokni, Thorup & Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016)? Ask
 * with 1 before and with 0 after its place was reserved: then it is exact over all workers. */
bool lb_has_room(const struct lb_view *v, const struct lb_request *r, uint32_t entry,
                 uint32_t more);
/* For hash algorithms without a table, or with nobody acceptable near the key: any member, by key.
 */
uint32_t lb_select_by_key(const struct lb_view *v, const struct lb_request *r);
/* The member with the best score of the algorithm's loads (worker/lb/least.c). */
uint32_t lb_select_least(const struct lb_view *v, const struct lb_request *r);
/* Walks the pool's ring from the key (worker/lb/consistent_hash.c). */
uint32_t lb_select_on_ring(const struct lb_view *v, const struct lb_request *r);

static inline bool lb_tried(const struct lb_request *r, uint32_t entry)
{
    for (uint32_t i = 0; i < r->tried_count; i++)
        if (r->tried[i] == entry)
            return true;
    return false;
}

#endif
