/*
 * admin/metrics.h: GET /metrics. A metric is one row: name, type, unit, scope, labels, help, and
 * where its values lie in what metrics_load copied out of the table. Adding one is a row here and
 * an increment where the thing happens. Prometheus text 0.0.4 and OpenMetrics 1.0 are written from
 * the same rows, and docs/metrics.md too.
 */
#ifndef BALLAST_ADMIN_METRICS_H
#define BALLAST_ADMIN_METRICS_H

#include "conf/conf.h"
#include "shm/entry.h"
#include "shm/grant.h"
#include "shm/layout.h"
#include "shm/table.h"

/* ---- the copy: one object per label set, all values are uint64_t ---- */

#define METRICS_LE_COUNT     13u /* finite buckets */
#define METRICS_LABELS_BYTES (4 * NAME_MAX_BYTES + 24)

extern const uint64_t metrics_le_us[METRICS_LE_COUNT];

struct metrics_labels { /* first member of each object */
    uint32_t len;
    char text[METRICS_LABELS_BYTES]; /* pool="app",backend="b1"; escaped */
};
struct metrics_histo {
    uint64_t at_most[METRICS_LE_COUNT];
    uint64_t count, sum_us;
};
struct metrics_instance {
    struct metrics_labels labels; /* empty */
    uint64_t one, generation, workers, workers_configured, clients, max_connections;
    uint64_t started_ms, restarts, reloads_ok, reloads_failed, watchdog_kills, silence_ms;
    uint64_t log_dropped;
    uint64_t cache_size_bytes, cache_used_bytes, cache_objects;
#define X(name, help) uint64_t cache_##name;
    CCELL_COUNTERS(X)
#undef X
    uint64_t leases, leases_max, leases_held;
#define X(name, help) uint64_t leases_##name;
    GRANT_COUNTERS(X)
#undef X
};
struct metrics_listener {
    struct metrics_labels labels;
#define X(name, help) uint64_t name;
    LCELL_COUNTERS(X)
#undef X
    uint64_t active;
    struct metrics_histo histo;
};
struct metrics_pool {
    struct metrics_labels labels;
    uint64_t by_status[STATUS_UNKNOWN + 1];
    uint64_t no_backend, queue, inflight;
    uint64_t cache_hits, cache_misses, cache_stale, cache_revalidated, cache_bypassed;
};
struct metrics_backend {
    struct metrics_labels labels;
#define X(name, help) uint64_t name;
    CELL_COUNTERS(X)
#undef X
    uint64_t up, breaker, ejected, inflight, weight, max_connections, checks_ok, checks_failed;
    struct metrics_histo histo;
};

struct metrics_certificate {
    struct metrics_labels labels;
    uint64_t expires_s;
};

enum metrics_scope {
    SCOPE_INSTANCE,
    SCOPE_LISTENER,
    SCOPE_CERTIFICATE,
    SCOPE_POOL,
    SCOPE_BACKEND,
    SCOPE_COUNT
};

struct metrics_set {
    char *objects;
    size_t stride_bytes;
    uint32_t count, cap;
};
struct metrics_copy {
    struct metrics_set sets[SCOPE_COUNT];
};

/* 0, or -1 without memory (nothing is kept). */
int metrics_load(struct metrics_copy *m, const struct table *t) MUST_CHECK;
/* Adds the certificates of a configuration. 0, or -1 without memory. */
int metrics_load_certificates(struct metrics_copy *m, const struct conf *conf) MUST_CHECK;
void metrics_unload(struct metrics_copy *m);
/* Writes name="value", escaped as both formats want it, after what is there. */
void metrics_label(struct metrics_labels *l, const char *name, const char *value);

/* ---- the rows ---- */

enum metrics_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };

struct metrics_series {
    const char *label; /* further label, escaped; "" for none */
    size_t offset;     /* of the value in the scope's object */
};
struct metrics_row {
    const char *name; /* without _total */
    enum metrics_type type;
    const char *unit; /* the last word of the name, or "" */
    enum metrics_scope scope;
    uint32_t decimals;  /* the value is in units of 10^-decimals */
    const char *labels; /* for the docs */
    const struct metrics_series *series;
    uint32_t series_count;
    const char *help;
};
const struct metrics_row *metrics_rows(size_t *count);

/* ---- the text ---- */

/* malloc'd; NULL without memory. */
char *metrics_text(const struct metrics_copy *m, bool openmetrics, size_t *len_bytes) MUST_CHECK;
/* Does this Accept field prefer OpenMetrics to the classic text? NULL: no. */
bool metrics_wants_openmetrics(const char *accept);

#endif
