/*
 * client/ballast_client.h: balancing without a hop, for programs on the host where ballast runs.
 * The program reads the table of the running instance and chooses a backend by itself, with the
 * balancer's own algorithms, over the balancer's own health, weights and states; then it connects
 * there. docs/client.md has the whole story.
 *
 *   struct ballast_pick pick;
 *   if (ballast_pick(client, "app", key, key_len, &pick) == BALLAST_OK) {
 *       ... connect to pick.address, talk ...
 *       ballast_report(client, &pick, BALLAST_SUCCESS, microseconds);
 *   }
 *
 * The table is only read; nothing in the instance can be changed or held up from here. It follows
 * reloads, added and removed backends and restarts of ballast without being opened again. When the
 * instance shows no sign of life (it stopped, it hangs), a pick says BALLAST_FALLBACK: use the
 * listener's address.
 *
 * Threads may share a client: there is a lock inside, held for less than a microsecond as a rule. A
 * client also works in a child after fork(), where it begins with nothing in flight. No signal
 * handlers, no threads of its own, no global state, nothing allocated per pick.
 */
#ifndef BALLAST_CLIENT_H
#define BALLAST_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BALLAST_API __attribute__((visibility("default")))

/* ---- opening ---- */

/* All zero is the default of everything but size_bytes and owner: BALLAST_OPTIONS_INIT. */
struct ballast_options {
    size_t size_bytes;    /* sizeof(struct ballast_options): tells the version of this header */
    const char *fallback; /* "10.0.0.1:80", "[::1]:80", "unix:/path": the listener's address, given
                             by every pick that is not BALLAST_OK; NULL: none */
    uint32_t stale_ms;  /* without a sign of life for so long the table is not believed; 0: 3000 */
    uint32_t max_fails; /* failures in a row after which a backend is left out; 0: 3 */
    uint32_t fail_timeout_ms; /* for so long; 0: 10000 */
    uid_t owner; /* whose tables are believed besides root's and our own; (uid_t)-1: nobody's */
    unsigned char may_be_absent; /* 1: open although no instance runs; picks are BALLAST_FALLBACK
                                    until one does */
    unsigned char
        keep_when_stale; /* 1: go on choosing by the last known state instead of BALLAST_FALLBACK */
    unsigned char uncounted; /* 1: never take a lease: choose only, in nobody's counts */
};
#define BALLAST_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(struct ballast_options), NULL, 0, 0, 0, (uid_t)-1, 0, 0, 0                          \
    }

struct ballast_client;

/*
 * instance: the path of the configuration file that the instance runs with
 * ("/etc/ballast/ballast.conf"), or "pid:N", its master; NULL: the newest one on this host.
 * options: NULL for the defaults. NULL with a sentence in why (cut to why_cap) when there is no
 * such instance, its table may not be read or is not to be believed, or it has another layout than
 * this library's: library and instance must be of the same version.
 */
BALLAST_API struct ballast_client *ballast_client_open(const char *instance,
                                                       const struct ballast_options *options,
                                                       char *why, size_t why_cap);
/* No pick may be under way in another thread. NULL is allowed. */
BALLAST_API void ballast_client_close(struct ballast_client *client);

/* ---- choosing ---- */

enum ballast_result {
    BALLAST_OK,
    BALLAST_FALLBACK, /* nothing is known, or it is too old: use the listener */
    BALLAST_NONE,     /* the pool has no usable backend */
    BALLAST_FULL,     /* all usable ones are at max_connections, or the pool is */
    BALLAST_NO_POOL   /* the instance has no pool of this name */
};

#define BALLAST_TRIED_MAX 16

/* What was chosen. May be copied, but only one copy is reported. Everything behind `private_`
 * belongs to the library. */
struct ballast_pick {
    struct sockaddr_storage
        address;           /* the fallback, if the result is not BALLAST_OK and there is one */
    socklen_t address_len; /* 0: there is none */
    char backend[64];      /* its name */
    char endpoint[128];    /* its address as the configuration has it: "app1.internal:8080" */
    uint32_t slot;         /* its place in the table, and which one had it: */
    uint32_t generation;   /* another backend in the same slot has another generation */
    unsigned char stale;   /* 1: chosen by a table that is too old (keep_when_stale) */
    struct {
        uint64_t key;
        uint32_t epoch, pool, is_out, tried_count;
        uint32_t tried[BALLAST_TRIED_MAX];
        uint32_t lease, ticket;
    } private_;
};

/*
 * A backend of the pool for one request or connection. key: what the pool's hash algorithm goes by:
 * the same bytes as the balancer's hash_key gives the same backend as there. For client_ip (and
 * ip_hash) the address as text, "192.0.2.1"; for uri (and url_hash) path and query. NULL: any;
 * without meaning to the other algorithms. BALLAST_OK must be followed by ballast_report() when the
 * request is over.
 */
BALLAST_API enum ballast_result ballast_pick(struct ballast_client *client, const char *pool,
                                             const void *key, size_t key_len,
                                             struct ballast_pick *out);
/* Another one for the same request, after its failure was reported (else the pick is given up,
 * without a verdict): none of those it has had. When the table was replaced meanwhile:
 * BALLAST_FALLBACK, or pick anew. */
BALLAST_API enum ballast_result ballast_pick_other(struct ballast_client *client,
                                                   struct ballast_pick *pick);

/* ---- what became of it ---- */

enum ballast_outcome {
    BALLAST_SUCCESS,
    BALLAST_FAILURE,  /* not connected, timed out, cut off, 5xx: whatever says that the backend is
                         not well */
    BALLAST_ABANDONED /* nobody knows: given up for reasons of one's own */
};
/*
 * The request is over. Counted in this client: its requests in flight (least_connections,
 * power_of_two, max_connections, ...), its failures in a row, and, if latency_us is not 0, how fast
 * the backend answers it (least_response_time). A second report of one pick does nothing.
 */
BALLAST_API void ballast_report(struct ballast_client *client, struct ballast_pick *pick,
                                enum ballast_outcome outcome, uint64_t latency_us);

/* ---- how things are ---- */

/* 1: the table is followed and fresh; 0: a pick would be BALLAST_FALLBACK, and why says why. */
BALLAST_API int ballast_client_is_fresh(struct ballast_client *client, char *why, size_t why_cap);
/* "ok", "fallback", ... */
BALLAST_API const char *ballast_result_name(enum ballast_result result);

#ifdef __cplusplus
}
#endif

#endif
