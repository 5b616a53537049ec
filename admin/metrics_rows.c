#include "admin/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include "admin/admin.h"

#define SERIES(...)                                                                                \
    .series = (const struct metrics_series[]){__VA_ARGS__},                                        \
    .series_count =                                                                                \
        sizeof((const struct metrics_series[]){__VA_ARGS__}) / sizeof(struct metrics_series)

#define AT(type, member)                                                                           \
    {                                                                                              \
        "", offsetof(struct metrics_##type, member)                                                \
    }
#define WITH(type, member, l)                                                                      \
    {                                                                                              \
        l, offsetof(struct metrics_##type, member)                                                 \
    }
#define CODES(type)                                                                                \
    WITH(type, status_1xx, "code=\"1xx\""), WITH(type, status_2xx, "code=\"2xx\""),                \
        WITH(type, status_3xx, "code=\"3xx\""), WITH(type, status_4xx, "code=\"4xx\""),            \
        WITH(type, status_5xx, "code=\"5xx\"")
#define STATUS(which, name)                                                                        \
    {                                                                                              \
        "status=\"" name "\"", offsetof(struct metrics_pool, by_status[which])                     \
    }

#define INSTANCE(n, t, l, h, ...)                                                                  \
    {                                                                                              \
        .name = "ballast_" n, .type = t, .unit = "", .scope = SCOPE_INSTANCE, .labels = l,         \
        .help = h, SERIES(__VA_ARGS__)                                                             \
    }
#define LISTENER(n, t, u, l, h, ...)                                                               \
    {                                                                                              \
        .name = "ballast_" n, .type = t, .unit = u, .scope = SCOPE_LISTENER, .labels = l,          \
        .help = h, SERIES(__VA_ARGS__)                                                             \
    }
#define BACKEND(n, t, u, l, h, ...)                                                                \
    {                                                                                              \
        .name = "ballast_backend_" n, .type = t, .unit = u, .scope = SCOPE_BACKEND, .labels = l,   \
        .help = h, SERIES(__VA_ARGS__)                                                             \
    }

static const struct metrics_row rows[] = {
    INSTANCE("up", METRIC_GAUGE, "", "1 while the admin process answers", AT(instance, one)),
    INSTANCE("build_info", METRIC_GAUGE, "version", "which version runs, always 1",
             WITH(instance, one, "version=\"" BALLAST_VERSION "\"")),
    {.name = "ballast_start_time_seconds",
     .type = METRIC_GAUGE,
     .unit = "seconds",
     .scope = SCOPE_INSTANCE,
     .decimals = 3,
     .labels = "",
     .help = "when this instance started, seconds since 1970",
     SERIES(AT(instance, started_ms))},
    INSTANCE("generation", METRIC_GAUGE, "", "number of the configuration that serves",
             AT(instance, generation)),
    INSTANCE("workers", METRIC_GAUGE, "", "worker processes that are ready", AT(instance, workers)),
    INSTANCE("workers_configured", METRIC_GAUGE, "", "worker processes there should be",
             AT(instance, workers_configured)),
    INSTANCE("worker_restarts", METRIC_COUNTER, "", "workers replaced after they died",
             AT(instance, restarts)),
    INSTANCE("watchdog_kills", METRIC_COUNTER, "", "processes killed because they did not move",
             AT(instance, watchdog_kills)),
    {.name = "ballast_heartbeat_age_seconds",
     .type = METRIC_GAUGE,
     .unit = "seconds",
     .scope = SCOPE_INSTANCE,
     .decimals = 3,
     .labels = "",
     .help = "for how long the slowest process has not moved: usually below 1",
     SERIES(AT(instance, silence_ms))},
    INSTANCE("reloads", METRIC_COUNTER, "result", "reloads of the configuration by result",
             WITH(instance, reloads_ok, "result=\"ok\""),
             WITH(instance, reloads_failed, "result=\"failed\"")),
    INSTANCE("access_log_dropped", METRIC_COUNTER, "",
             "lines of access logs lost to a full disk or a slow reader",
             AT(instance, log_dropped)),
    INSTANCE("clients", METRIC_GAUGE, "", "client connections open, all listeners",
             AT(instance, clients)),
    INSTANCE("clients_max", METRIC_GAUGE, "", "client connections allowed (max_connections)",
             AT(instance, max_connections)),

    LISTENER("connections", METRIC_GAUGE, "", "listener", "client connections open",
             AT(listener, active)),
    LISTENER("connections_accepted", METRIC_COUNTER, "", "listener", "client connections accepted",
             AT(listener, accepted)),
    LISTENER("connections_refused", METRIC_COUNTER, "", "listener",
             "client connections refused by a limit", AT(listener, refused)),
    LISTENER("requests", METRIC_COUNTER, "", "listener, code",
             "responses to clients by class of status", CODES(listener)),
    LISTENER("requests_received", METRIC_COUNTER, "", "listener", "requests received",
             AT(listener, requests)),
    LISTENER("requests_failed", METRIC_COUNTER, "", "listener",
             "requests that failed: no backend, bad gateway, timeout", AT(listener, failed)),
    LISTENER("requests_aborted", METRIC_COUNTER, "", "listener", "requests the client gave up",
             AT(listener, aborted)),
    LISTENER("rate_limit", METRIC_COUNTER, "", "listener, result",
             "requests by what rate limits did: let through, made to wait, refused",
             WITH(listener, rate_passed, "result=\"passed\""),
             WITH(listener, rate_delayed, "result=\"delayed\""),
             WITH(listener, rate_limited, "result=\"limited\"")),
    LISTENER("tls_handshakes", METRIC_COUNTER, "", "listener", "TLS handshakes completed",
             AT(listener, tls_handshakes)),
    LISTENER("tls_handshakes_resumed", METRIC_COUNTER, "", "listener",
             "TLS handshakes that resumed a session", AT(listener, tls_resumed)),
    LISTENER("tls_handshakes_failed", METRIC_COUNTER, "", "listener", "TLS handshakes that failed",
             AT(listener, tls_failed)),
    {.name = "ballast_certificate_expires_seconds",
     .type = METRIC_GAUGE,
     .unit = "seconds",
     .scope = SCOPE_CERTIFICATE,
     .labels = "listener, certificate",
     .help = "when the certificate expires, seconds since 1970",
     SERIES(AT(certificate, expires_s))},
    LISTENER("responses_compressed", METRIC_COUNTER, "", "listener", "responses compressed",
             AT(listener, compressed)),
    LISTENER("compression_input_bytes", METRIC_COUNTER, "bytes", "listener",
             "bytes of responses before they were compressed", AT(listener, compress_in)),
    LISTENER("compression_output_bytes", METRIC_COUNTER, "bytes", "listener",
             "bytes of responses after they were compressed", AT(listener, compress_out)),
    LISTENER("request_duration_seconds", METRIC_HISTOGRAM, "seconds", "listener",
             "from the request's head received to the last byte sent", AT(listener, histo)),
    LISTENER("received_bytes", METRIC_COUNTER, "bytes", "listener", "bytes received from clients",
             AT(listener, bytes_in)),
    LISTENER("sent_bytes", METRIC_COUNTER, "bytes", "listener", "bytes sent to clients",
             AT(listener, bytes_out)),

    {.name = "ballast_pool_backends",
     .type = METRIC_GAUGE,
     .unit = "",
     .scope = SCOPE_POOL,
     .labels = "pool, status",
     .help = "backends of the pool by status",
     SERIES(STATUS(STATUS_UNKNOWN, "unknown"), STATUS(STATUS_HEALTHY, "healthy"),
            STATUS(STATUS_UNHEALTHY, "unhealthy"), STATUS(STATUS_OVERLOADED, "overloaded"),
            STATUS(STATUS_MAINTENANCE, "maintenance"), STATUS(STATUS_DRAINING, "draining"))},
    {.name = "ballast_pool_no_backend",
     .type = METRIC_COUNTER,
     .unit = "",
     .scope = SCOPE_POOL,
     .labels = "pool",
     .help = "requests that found no usable backend",
     SERIES(AT(pool, no_backend))},
    {.name = "ballast_pool_queue_length",
     .type = METRIC_GAUGE,
     .unit = "",
     .scope = SCOPE_POOL,
     .labels = "pool",
     .help = "requests waiting for a place at a backend",
     SERIES(AT(pool, queue))},
    {.name = "ballast_pool_connections",
     .type = METRIC_GAUGE,
     .unit = "",
     .scope = SCOPE_POOL,
     .labels = "pool",
     .help = "requests or tunnels in flight at all backends of the pool",
     SERIES(AT(pool, inflight))},

    {.name = "ballast_cache_requests",
     .type = METRIC_COUNTER,
     .unit = "",
     .scope = SCOPE_POOL,
     .labels = "pool, result",
     .help = "requests of pools with a cache by what it had: hit, miss, stale, revalidated, bypass",
     SERIES(WITH(pool, cache_hits, "result=\"hit\""), WITH(pool, cache_misses, "result=\"miss\""),
            WITH(pool, cache_stale, "result=\"stale\""),
            WITH(pool, cache_revalidated, "result=\"revalidated\""),
            WITH(pool, cache_bypassed, "result=\"bypass\""))},
    {.name = "ballast_cache_size_bytes",
     .type = METRIC_GAUGE,
     .unit = "bytes",
     .scope = SCOPE_INSTANCE,
     .labels = "",
     .help = "room of the response cache",
     SERIES(AT(instance, cache_size_bytes))},
    {.name = "ballast_cache_used_bytes",
     .type = METRIC_GAUGE,
     .unit = "bytes",
     .scope = SCOPE_INSTANCE,
     .labels = "",
     .help = "room that responses take, in blocks of 4 KiB",
     SERIES(AT(instance, cache_used_bytes))},
    INSTANCE("cache_objects", METRIC_GAUGE, "", "responses in the cache",
             AT(instance, cache_objects)),
    INSTANCE("cache_stored", METRIC_COUNTER, "", "responses kept", AT(instance, cache_stored)),
    INSTANCE("cache_removed", METRIC_COUNTER, "reason",
             "responses removed: to make room, or by a purge or an unsafe request",
             WITH(instance, cache_evicted, "reason=\"evicted\""),
             WITH(instance, cache_purged, "reason=\"purged\"")),
    INSTANCE("cache_abandoned", METRIC_COUNTER, "",
             "responses not kept to the end: too large, cut short, or no room",
             AT(instance, cache_abandoned)),
    INSTANCE("cache_collapsed", METRIC_COUNTER, "", "requests that waited for the fetch of another",
             AT(instance, cache_collapsed)),
    {.name = "ballast_cache_served_bytes",
     .type = METRIC_COUNTER,
     .unit = "bytes",
     .scope = SCOPE_INSTANCE,
     .labels = "",
     .help = "bytes of bodies served from the cache",
     SERIES(AT(instance, cache_served_bytes))},

    INSTANCE("client_leases", METRIC_GAUGE, "",
             "programs with the client library that have a lease", AT(instance, leases)),
    INSTANCE("client_leases_max", METRIC_GAUGE, "", "leases there may be (client_leases)",
             AT(instance, leases_max)),
    INSTANCE("client_lease_connections", METRIC_GAUGE, "",
             "places in flight that are lent to them: part of the connections of backends",
             AT(instance, leases_held)),
    INSTANCE("client_leases_opened", METRIC_COUNTER, "", "leases given to clients",
             AT(instance, leases_opened)),
    INSTANCE("client_leases_turned_away", METRIC_COUNTER, "", "clients for whom there was no lease",
             AT(instance, leases_turned_away)),
    INSTANCE("client_leases_died", METRIC_COUNTER, "", "clients that ended while they used places",
             AT(instance, leases_died)),
    INSTANCE("client_lease_questions", METRIC_COUNTER, "result",
             "questions for a place: granted; a limit is reached; the backend takes no requests",
             WITH(instance, leases_granted, "result=\"granted\""),
             WITH(instance, leases_full, "result=\"full\""),
             WITH(instance, leases_refused, "result=\"refused\"")),
    INSTANCE("client_lease_places", METRIC_COUNTER, "", "places granted: several to some questions",
             AT(instance, leases_places)),
    INSTANCE("client_lease_places_reclaimed", METRIC_COUNTER, "",
             "places that such clients used, taken back", AT(instance, leases_reclaimed)),

    BACKEND("up", METRIC_GAUGE, "", "pool, backend", "1 when the backend takes new requests",
            AT(backend, up)),
    {.name = "ballast_circuit_breaker_state",
     .type = METRIC_GAUGE,
     .unit = "",
     .scope = SCOPE_BACKEND,
     .labels = "pool, backend",
     .help = "0 closed, 1 half-open, 2 open",
     SERIES(AT(backend, breaker))},
    BACKEND("ejected", METRIC_GAUGE, "", "pool, backend",
            "1 while passive health keeps it out (passive.max_fails)", AT(backend, ejected)),
    BACKEND("connections", METRIC_GAUGE, "", "pool, backend", "requests or tunnels in flight",
            AT(backend, inflight)),
    BACKEND("connections_max", METRIC_GAUGE, "", "pool, backend",
            "requests or tunnels allowed at once, 0: no limit", AT(backend, max_connections)),
    BACKEND("weight", METRIC_GAUGE, "", "pool, backend", "weight in force", AT(backend, weight)),
    BACKEND("requests", METRIC_COUNTER, "", "pool, backend, code",
            "responses of the backend by class of status", CODES(backend)),
    BACKEND("requests_sent", METRIC_COUNTER, "", "pool, backend",
            "requests or connections sent to the backend", AT(backend, requests)),
    BACKEND("response_seconds", METRIC_HISTOGRAM, "seconds", "pool, backend",
            "from the first byte sent to the response's head received", AT(backend, histo)),
    BACKEND("failures", METRIC_COUNTER, "", "pool, backend",
            "attempts that failed: connect error, timeout, reset, invalid response",
            AT(backend, failed)),
    BACKEND("retries", METRIC_COUNTER, "", "pool, backend",
            "attempts that were made again elsewhere", AT(backend, retries)),
    BACKEND("connections_opened", METRIC_COUNTER, "", "pool, backend", "connections opened",
            AT(backend, connects)),
    BACKEND("connect_errors", METRIC_COUNTER, "", "pool, backend",
            "connections that could not be opened", AT(backend, connect_errors)),
    BACKEND("timeouts", METRIC_COUNTER, "", "pool, backend", "connect or response timeouts",
            AT(backend, timeouts)),
    BACKEND("connections_reused", METRIC_COUNTER, "", "pool, backend",
            "requests sent on a pooled connection", AT(backend, reused)),
    BACKEND("health_checks", METRIC_COUNTER, "", "pool, backend, result", "health checks by result",
            WITH(backend, checks_ok, "result=\"pass\""),
            WITH(backend, checks_failed, "result=\"fail\"")),
    BACKEND("received_bytes", METRIC_COUNTER, "bytes", "pool, backend",
            "bytes received from the backend", AT(backend, bytes_in)),
    BACKEND("sent_bytes", METRIC_COUNTER, "bytes", "pool, backend", "bytes sent to the backend",
            AT(backend, bytes_out)),
};

const struct metrics_row *metrics_rows(size_t *count)
{
    *count = ARRAY_LEN(rows);
    return rows;
}

char *admin_metrics_markdown(void)
{
    static const char *const types[] = {"gauge", "counter", "histogram"};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    fputs("| metric | type | labels | what it says |\n| --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        fprintf(out, "| `%s%s` | %s | %s | %s |\n", rows[i].name,
                rows[i].type == METRIC_COUNTER ? "_total" : "", types[rows[i].type], rows[i].labels,
                rows[i].help);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
