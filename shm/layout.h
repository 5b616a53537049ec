/*
 * shm/layout.h: the ONE definition of the shared table. Everything here is offsets, indexes and
 * fixed arrays; never a pointer. Every shared word is at most 8 bytes (16-byte atomics are not
 * lock-free) and is touched through the functions of shm/, the only folder with atomics.
 *
 *   section     one per              written by                                     read by
 *   header      instance             master (layout, conf), any (cells named below)  all, tools
 *   slot        process place        the process that holds it; master on death      all
 *   listener    listener name        master                                          workers, admin
 *   pool        pool name            master, admin (under the lock)                  all
 *   entry       backend              see struct entry, field by field                all
 *   cell        (slot, entry)        the slot's process only (single writer)         admin, tools,
 * lb lcell       (slot, listener)     the slot's process only                         admin, tools
 *   pcell       (slot, pool)         the slot's process only                         admin, tools
 *   hash        unit of 4 KiB        master, admin (under the lock)                  workers
 *   loads       pool name            any: nodes (shm/loads.h); places under the lock  workers
 *   rate        rate limit           master; limited_us: workers                     all
 *   rcell       (slot, rate limit)   the slot's process only                         admin, tools
 *   client cell (slot, cell)         the slot's process only; master when it is dead workers
 *   grant, cell  client lease, entry  broker (shm/grant.h)                            broker
 *   rate heap   unit of 4 KiB        workers (shm/rate.h)                            workers
 *   event       ring place           any process (per-place sequence lock)           admin, tools
 *   cache       see shm/cache.h      workers, admin; pins, ccell: the slot's process  all
 *
 * The object is sparse: only what header.*_reserved says has memory behind it (shm/table.h
 * table_reserve), and nothing else may be touched, not even to read. Rows are reserved from the
 * first, cells per slot from the first.
 *
 * Crash rules. Totals belong to the slot, not to the process: a successor goes on counting where
 * its predecessor was killed, and readers sum over all slots ever used (slots_high), so nothing is
 * folded and nothing lost. Gauges (in-flight, connections, queue) are lanes or cells of the slot;
 * slot_reclaim() zeroes them when the process is reaped. No lock is taken on the data path; the one
 * lock (header.lock, robust) guards membership and allocation of rows.
 */
#ifndef BALLAST_SHM_LAYOUT_H
#define BALLAST_SHM_LAYOUT_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/base.h"
#include "base/hash.h"
#include "base/net.h"

#define TABLE_MAGIC   0x315453414C4C4142ull /* "BALLAST1" little endian */
#define TABLE_VERSION 8u
#define SLOT_MAX                                                                                   \
    64u /* processes with a place: workers first, then health, admin (see shm/slot.h) */
#define LISTENER_MAX      256u
#define POOL_MAX          4096u
#define ENTRY_MAX         16384u     /* backends */
#define EVENT_MAX         4096u      /* power of two */
#define RATE_MAX          512u       /* rate limits */
#define CLIENTS_CELLS_MAX (1u << 20) /* of one worker (shm/clients.h) */
#define NAME_MAX_BYTES    64u        /* names of listeners, pools, backends, NUL included */
#define INDEX_NONE        UINT32_MAX
#define HISTO_BUCKETS     112u

typedef _Atomic uint16_t atom16;
typedef _Atomic uint32_t atom32;
typedef _Atomic uint64_t atom64;

/* ---- header ---- */
struct table_section {
    uint64_t offset_bytes;
    uint64_t stride_bytes;
    uint64_t count;
};

struct table_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t total_bytes;
    char boot_id[40]; /* of the kernel that made it: a table of another boot is dead */
    char product_version[16];
    struct table_section slots, listeners, pools, entries, cells, lcells, pcells, events, hash,
        loads, rates, rcells, rate_heap, sticks, client_cells, grants, grant_cells, cache_words,
        cache_next, cache_entries, cache_index, cache_marks, cache_pins, ccells, cache_data;
    uint32_t master_pid;
    atom32 effective_fd;         /* master: its descriptor of the configuration as text, 0: none */
    uint64_t master_start_ticks; /* /proc/PID/stat field 22: tells a reused pid */
    uint64_t pid_namespace;      /* inode of /proc/self/ns/pid: whose pids these are */
    uint64_t started_wall_ms;
    uint64_t started_mono_us;
    struct hash_key key; /* SipHash key of this instance */
    char conf_path[256];
    pthread_mutex_t lock;                   /* robust, process-shared */
    _Alignas(CACHE_LINE) atom32 generation; /* master */
    atom32 slots_high;                      /* master: slots [0, slots_high) were ever used */
    atom32 workers;      /* master: configured worker count: slots [0, workers) */
    atom32 entries_high; /* under the lock: entries [0, entries_high) were ever used */
    atom32 pools_high, listeners_high;
    atom32 membership; /* under the lock: grows whenever an entry or a pool is added or removed */
    atom32 max_connections; /* master: clients, whole instance */
    atom32 cuts;            /* under the lock: grows whenever a backend is cut off (entry.cut) */
    atom64 reloads_ok, reloads_failed,
        restarts;          /* master; restarts: workers replaced after a crash */
    atom64 watchdog_kills; /* master: processes killed because they did not move */
    /* under the lock: what has memory, growing only; a cell array of slot s has it for rows [0,
     * ..._reserved[s]) */
    atom32 entries_reserved, pools_reserved, listeners_reserved;
    atom32 hash_reserved, hash_dirty; /* units with memory; some pool's table is to be built */
    atom32 entries_free;              /* under the lock: rows below entries_high in ROW_FREE */
    atom32 cells_reserved[SLOT_MAX], lcells_reserved[SLOT_MAX], pcells_reserved[SLOT_MAX];
    atom32 sticks_reserved;            /* under the lock: 1 when they have memory */
    atom32 rates_high, rates_reserved; /* under the lock: rates [0, rates_high) were ever used */
    atom32 rcells_reserved[SLOT_MAX];
    atom32 client_cell_count; /* master, once: cells in use per worker; 0: nobody limits clients */
    atom32 client_cells_reserved[SLOT_MAX];
    atom32 grants_reserved, grant_max; /* lock: 1: rows have memory; broker: leases there may be */
    /* under the lock: blocks of the response cache with memory, and those in use; 0: no cache */
    atom32 cache_reserved, cache_blocks, cache_buckets_reserved;
    atom32 cache_pins_reserved[SLOT_MAX];
    atom32 cache_purges;                    /* any: grows with each purge */
    atom32 cache_version;                   /* any: of the last object begun */
    _Alignas(CACHE_LINE) atom64 cache_hand; /* any: where room is looked for next */
    _Alignas(CACHE_LINE) atom64 event_next; /* any: next sequence number of the ring */
    _Alignas(CACHE_LINE) atom32
        clients[SLOT_MAX]; /* gauge lanes: client connections per slot (reserve-then-accept) */
};

/* ---- process slots ---- */
enum slot_role { SLOT_EMPTY, SLOT_WORKER, SLOT_HEALTH, SLOT_ADMIN, SLOT_SAMPLE, SLOT_BROKER };
enum slot_state { SLOT_FREE, SLOT_STARTING, SLOT_READY, SLOT_DRAINING, SLOT_DEAD };

struct slot {
    _Alignas(CACHE_LINE) atom32 pid; /* master */
    atom32 role;                     /* master: enum slot_role */
    atom32 state;                    /* master: enum slot_state */
    atom32 index;                    /* master: worker number, 0 for the others */
    atom32 generation;               /* own process: the configuration it serves */
    atom64 started_mono_us;          /* master */
    atom64 restarts;                 /* master */
    atom64 heartbeat_us; /* own process: clock_mono_us of its last timer tick (every 500 ms) */
    atom64 accepted, requests; /* own process: totals over listeners */
    atom64 log_dropped;        /* own process: lines of access logs that could not be written */
    atom64 breadcrumb; /* own process: what it is doing (step << 32 | entry), for the post-mortem */
};

/* ---- listeners, pools ---- */
enum row_state { ROW_FREE, ROW_LIVE, ROW_REMOVED };
/* What the pool's hash algorithm is asked with. */
enum pool_key { POOL_KEY_NONE, POOL_KEY_BYTES, POOL_KEY_ADDRESS, POOL_KEY_HOST };

struct listener_row {
    _Alignas(CACHE_LINE) atom32 state;
    char name[NAME_MAX_BYTES];
    atom32 max_connections;                        /* master: clients; 0: no limit */
    _Alignas(CACHE_LINE) atom32 clients[SLOT_MAX]; /* gauge lanes (reserve-then-accept) */
};

struct pool_row {
    _Alignas(CACHE_LINE) atom32 state; /* enum row_state */
    atom32 change; /* any: grows when membership, weight, health or admin state of a member changes;
                      views compare it */
    atom32 seq;    /* under the lock: odd while the member list is being changed (sequence lock for
                      readers) */
    atom32 head, tail; /* under the lock: first and last member (entry index or INDEX_NONE), linked
                          by entry.next */
    atom32 count;      /* under the lock: members */
    atom64 recheck_us; /* any: the earliest time when something about a member changes by
                          itself (shm/pool.h pool_recheck); 0: never */
    atom32 max_connections;   /* master: of all members together; 0: no limit */
    atom32 balance, key_kind; /* master: lb_algorithms[balance - 1]; enum pool_key */
    atom32 all_down_try;      /* master: 1: nobody usable, then everybody is asked */
    char name[NAME_MAX_BYTES];
    _Alignas(
        CACHE_LINE) atom64 cursor; /* workers: round robin position; multi-writer, fetch_add only */
    /* gauge lanes, as an entry's: requests in flight; those of them that are retries */
    _Alignas(CACHE_LINE) atom32 leased;
    atom32 inflight[SLOT_MAX];
    _Alignas(CACHE_LINE) atom32 retrying[SLOT_MAX];
    _Alignas(CACHE_LINE) atom64
        turn; /* who picks: where the line of equals is (shm/loads.h); one word, any may store */
    atom64 latency, probe_us; /* workers, by compare-and-swap: shm/latency.h */
    atom32 probe_at;          /* who holds the probe ticket */
    /* as configured (master, under the lock) */
    atom32 slow_start_ms;
    atom32 max_load_milli; /* 0: none; 1250: no member has more than 1.25 x its fair share */
    /* under the lock, a cache line of their own: see shm/hashtable.h */
    _Alignas(CACHE_LINE) atom32 hash_kind; /* wanted: enum hashtable_kind */
    atom32 hash_dirty;
    atom32 hash_seq; /* odd while the next three change */
    atom32 hash_built, hash_unit, hash_count;
    atom32 loads_kind;                   /* under the lock: enum loads_kind */
    atom32 places_high, places_free;     /* under the lock: places ever given; free ones below */
    atom32 loads_depth;                  /* under the lock: levels above the leaves in use */
    atom32 loads_reserved, loads_change; /* places with memory (lock); as of which `change` (any) */
};

/* ---- backends ---- */
enum entry_mode { MODE_ENABLED, MODE_MAINTENANCE, MODE_DRAINING }; /* configured/override word */
enum entry_health { HEALTH_UNKNOWN, HEALTH_HEALTHY, HEALTH_UNHEALTHY }; /* observed word */
enum entry_breaker {
    BREAKER_CLOSED,
    BREAKER_HALF_OPEN,
    BREAKER_OPEN
}; /* breaker word, low 8 bits */
enum entry_origin { ORIGIN_CONF, ORIGIN_API, ORIGIN_DISCOVERY };

/* Who overrode a field, and when; under the lock. */
enum override_field { OVERRIDE_MODE, OVERRIDE_WEIGHT, OVERRIDE_FIELDS };
struct override_mark {
    uint64_t wall_ms;
    uint32_t from_file; /* what the file said then: when it says something else, the file wins */
    char call[12];      /* "weight", "drain" */
    char by[52];        /* "127.0.0.1:4711" */
};

/* How a backend that registered itself wants to be checked. */
struct entry_check {
    uint32_t port; /* 0: the traffic's */
    uint32_t tls;
    char path[128]; /* "": as its pool says */
};

struct entry {
    /* identity: written under the lock before state becomes ROW_LIVE, constant while live */
    _Alignas(CACHE_LINE) atom32 state; /* enum row_state; master or admin, under the lock */
    atom32
        incarnation; /* grows at each reuse of this index: idle upstream connections compare it */
    atom32 pool;     /* pool row */
    atom32 next;     /* next member of the pool or INDEX_NONE */
    atom32 origin;   /* enum entry_origin */
    atom32 backup;   /* 0 or 1: used only when no other member is usable */
    /* configured (master, under the lock) and override (admin, under the lock; UINT32_MAX: none) */
    atom32 weight, weight_override;
    atom32 max_connections; /* 0: no limit */
    atom32 mode;            /* enum entry_mode; admin */
    atom32 ramp;            /* any, from ramp_us: share of its weight in 32 parts */
    atom32 cut;             /* under the lock: header.cuts when it was last cut off; 0: never */
    atom32 leaf;            /* under the lock: its place among the pool's loads + 1; 0: none */
    /* observed: health process only (packed: see shm/entry.h entry_health_*) */
    atom32 health;                   /* enum entry_health */
    atom64 health_since_us;          /* clock_mono_us of the last verdict change */
    atom64 health_checked_us;        /* of the last check, 0: never */
    atom32 health_streak;            /* consecutive results against the current verdict */
    atom32 health_latency_us;        /* of the last check */
    atom32 health_code;              /* of the last check: HTTP status, or -errno as uint32, or 0 */
    atom64 checks_ok, checks_failed; /* totals */
    /* breaker/passive: workers by compare-and-swap */
    atom64 breaker; /* see shm/breaker.h */
    atom64 passive; /* see shm/passive.h */
    atom64 latency; /* workers, by compare-and-swap: shm/latency.h */
    atom64 ramp_us; /* who makes it take requests: when it began to; shm/ramp.h */
    atom64 created_wall_ms;
    atom64 freed_us; /* clock_mono_us when the row became ROW_FREE */
    atom32 source; /* identity; of ORIGIN_DISCOVERY: what found it (health/resolve.h); 0: itself */
    atom32 lease_ttl_ms;                             /* admin, under the lock; see shm/lease.h */
    atom64 lease_until_us;                           /* admin; health extends; 0: no end */
    struct entry_check check;                        /* identity */
    struct override_mark overrides[OVERRIDE_FIELDS]; /* see shm/override.h */
    atom64 stick_id; /* constant while live: what a cookie calls it (entry_stick_id) */
    struct net_addr addr;
    char name[NAME_MAX_BYTES];
    char endpoint[NET_ADDR_STRLEN]; /* as shown: "host:port" or "unix:/path" */
    /* gauge lanes: requests or tunnels in flight, per slot, and broker: what is lent to clients;
       the sum is the truth (shm/entry.h entry_reserve) */
    _Alignas(CACHE_LINE) atom32 leased;
    atom32 inflight[SLOT_MAX];
};

/* Single-writer totals of one backend in one slot. A row here is a counter in /lb/stats and
 * /metrics. 1 KiB. */
#define CELL_COUNTERS(X)                                                                           \
    X(requests, "requests or connections sent to the backend")                                     \
    X(status_1xx, "responses 1xx")                                                                 \
    X(status_2xx, "responses 2xx")                                                                 \
    X(status_3xx, "responses 3xx")                                                                 \
    X(status_4xx, "responses 4xx")                                                                 \
    X(status_5xx, "responses 5xx")                                                                 \
    X(failed, "attempts that failed: connect error, timeout, reset, invalid response")             \
    X(connects, "connections opened")                                                              \
    X(connect_errors, "connections that could not be opened")                                      \
    X(timeouts, "connect or response timeouts")                                                    \
    X(retries, "attempts that were made again elsewhere")                                          \
    X(reused, "requests sent on a pooled connection")                                              \
    X(bytes_in, "bytes received from the backend")                                                 \
    X(bytes_out, "bytes sent to the backend")                                                      \
    X(response_us, "sum of response times in microseconds")                                        \
    X(responses, "responses measured: the histogram's count")

struct cell {
#define X(name, help) atom64 name;
    CELL_COUNTERS(X)
#undef X
    atom64 histo[HISTO_BUCKETS]; /* microseconds from first byte sent to response head received;
                                    shm/histo.h */
};

#define LCELL_COUNTERS(X)                                                                          \
    X(accepted, "connections accepted")                                                            \
    X(refused, "connections refused by a limit")                                                   \
    X(requests, "requests received")                                                               \
    X(status_1xx, "responses 1xx")                                                                 \
    X(status_2xx, "responses 2xx")                                                                 \
    X(status_3xx, "responses 3xx")                                                                 \
    X(status_4xx, "responses 4xx")                                                                 \
    X(status_5xx, "responses 5xx")                                                                 \
    X(aborted, "requests the client gave up")                                                      \
    X(failed, "requests that failed: no backend, bad gateway, timeout")                            \
    X(bytes_in, "bytes received from clients")                                                     \
    X(bytes_out, "bytes sent to clients")                                                          \
    X(request_us, "sum of request durations in microseconds")                                      \
    X(finished, "requests finished: the histogram's count")                                        \
    X(rate_passed, "requests that rate limits let through at once")                                \
    X(rate_delayed, "requests that had to wait for their turn")                                    \
    X(rate_limited, "requests refused by a rate limit")                                            \
    X(tls_handshakes, "TLS handshakes completed")                                                  \
    X(tls_resumed, "TLS handshakes that resumed a session")                                        \
    X(tls_failed, "TLS handshakes that failed")                                                    \
    X(compressed, "responses compressed")                                                          \
    X(compress_in, "bytes of responses before they were compressed")                               \
    X(compress_out, "bytes of responses after that")

struct lcell {
#define X(name, help) atom64 name;
    LCELL_COUNTERS(X)
#undef X
    atom64 active; /* gauge: open client connections */
    /* microseconds from request head received to last byte sent */
    _Alignas(CACHE_LINE) atom64 histo[HISTO_BUCKETS];
};

struct pcell {
    atom64 queue;          /* gauge: requests waiting for a backend */
    atom64 no_backend;     /* total: requests that found no usable backend */
    atom64 queue_first_us; /* gauge: since when the first of them has waited; 0: none */
    /* totals, shm/cache.h */
    atom64 cache_hits, cache_misses, cache_stale, cache_revalidated, cache_bypassed;
};

/* ---- sessions (shm/stick.h) ---- */
#define STICK_BUCKETS 65536u
#define STICK_WAYS    8u

/* ---- loads (shm/loads.h) ---- */
#define LOADS_SHIFT 3u                        /* children of a node: 8, a cache line */
#define LOADS_UPPER (8u + 32u + 256u)         /* nodes of the three levels at the top */
#define LOADS_NODES (LOADS_UPPER + 2048u)     /* and of the one above the leaves */
#define LOADS_WORDS (LOADS_NODES + ENTRY_MAX) /* and the leaves */

struct loads {
    _Alignas(CACHE_LINE) atom64 words[LOADS_WORDS]; /* top level first, leaves last; 0: nobody */
    atom32 entries[ENTRY_MAX]; /* by place: entry + 1, 0: none; under the lock */
};

/* ---- rate limits: shm/rate.h ---- */
struct rate_row {
    _Alignas(CACHE_LINE) atom32 state;      /* enum row_state: ROW_FREE or ROW_LIVE */
    atom32 unit, units;                     /* of the heap: its hash table; units 0: none */
    atom64 fingerprint;                     /* of what the limit says */
    char name[120];                         /* "listeners.web" */
    _Alignas(CACHE_LINE) atom64 limited_us; /* workers: clock_mono_us of about the last refusal */
};

#define RCELL_COUNTERS(X)                                                                          \
    X(passed, "requests let through at once")                                                      \
    X(delayed, "requests that had to wait for their turn")                                         \
    X(limited, "requests refused")                                                                 \
    X(evicted, "keys forgotten early: the table was too small")

struct rcell {
#define X(name, help) atom64 name;
    RCELL_COUNTERS(X)
#undef X
    atom64 spare[4];
};

/* ---- the response cache: shm/cache.h ---- */
#define CACHE_BLOCK_BYTES 4096u
#define CACHE_BLOCKS_MAX  (1u << 22) /* 16 GiB */
#define CACHE_WAYS        8u         /* of a bucket of the index: a cache line */
#define CACHE_BUCKETS_MAX (CACHE_BLOCKS_MAX / 4)
#define CACHE_CLAIMS      16384u     /* fetches under way; power of two */
#define CACHE_EPOCHS      (1u << 18) /* power of two */

/* A response; the names of the fields that choose among several; the body of one, compressed. */
enum cache_kind { CACHE_RESPONSE, CACHE_VARIES, CACHE_CODED };
#define CACHE_CODINGS 3u /* gzip, br, zstd */

/* What is known of an object; written before it can be found, constant while it can. */
struct cache_about {
    uint64_t hash;
    int64_t born_us;  /* clock_mono_us when its age was 0; below 0: before this host was started */
    uint64_t made_us; /* clock_mono_us when it was kept */
    uint64_t body_bytes;
    uint32_t fresh_s, while_revalidate_s, if_error_s;
    uint32_t key_bytes, vary_bytes, head_bytes; /* what stands before the body, in this order */
    uint32_t epoch; /* of its address when it was asked for; another one by now: it is not found */
    uint16_t status;
    uint8_t kind; /* enum cache_kind */
    bool must_revalidate;
    uint8_t coding, level;             /* CACHE_CODED */
    uint64_t address;                  /* what `epoch` is of */
    uint32_t body_entry, body_version; /* whose blocks hold the body; version 0: its own */
};

struct cache_entry {
    _Alignas(CACHE_LINE) struct cache_about about;
    uint32_t blocks;
    atom32 used;                 /* any: asked for since the hand came by */
    atom32 hits;                 /* any, approximate */
    atom32 owner;                /* any: version of the object whose body is here */
    atom64 coded[CACHE_CODINGS]; /* any: version << 32 | first block of a coded form; 0: none */
};

struct cache_marks {
    atom64 claims[CACHE_CLAIMS]; /* who fetches what; any, by compare-and-swap */
    atom64 passes[CACHE_CLAIMS]; /* what was not to be kept lately */
    atom32 epochs[CACHE_EPOCHS]; /* by address: grows when it is invalidated */
};

#define CCELL_COUNTERS(X)                                                                          \
    X(stored, "responses kept")                                                                    \
    X(evicted, "responses that made way for others")                                               \
    X(purged, "responses removed by a purge or an unsafe request")                                 \
    X(abandoned, "responses not kept to the end: too large, cut short, or no room")                \
    X(collapsed, "requests that waited for the fetch of another")                                  \
    X(served_bytes, "bytes of bodies served from the cache")

struct ccell {
#define X(name, help) atom64 name;
    CCELL_COUNTERS(X)
#undef X
    atom64 spare[2];
};

/* ---- events ---- */
struct event {
    _Alignas(
        CACHE_LINE) atom64 stamp; /* sequence number (from 1) * 2, + 1 while it is being written */
    uint64_t wall_ms;
    char kind[24];   /* "health", "admin", "reload", "worker", "start", "backend", ... */
    char object[80]; /* "pool:backend", "worker 0" */
    char from[24], to[24];
    char reason[144];
    uint32_t slot;  /* who wrote it; INDEX_NONE: master */
    uint32_t check; /* of all but the stamp, with the sequence number: tells a mixture of two */
};

_Static_assert(sizeof(struct event) == 320, "an event has no padding, all of it is checked");
_Static_assert(sizeof(struct cell) == 1024, "a cell is 1 KiB");
_Static_assert(sizeof(struct ccell) == CACHE_LINE, "a ccell is one cache line");
_Static_assert(sizeof(struct rcell) == CACHE_LINE, "an rcell is one cache line");
_Static_assert(sizeof(struct lcell) % CACHE_LINE == 0, "processes do not share a line of an lcell");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "lock-free words");

#endif
