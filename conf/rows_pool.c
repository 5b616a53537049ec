/* What a pool and its backends may say. */
#include <string.h>
#include "conf/rows_define.h"
#include "shm/layout.h"

PAIR(struct conf_pool, rate_limits, rate_limit_count);

const char *const conf_algorithms[] = {"round_robin",
                                       "weighted_round_robin",
                                       "least_connections",
                                       "weighted_least_connections",
                                       "least_response_time",
                                       "fastest_response",
                                       "random",
                                       "power_of_two",
                                       "first",
                                       "ip_hash",
                                       "url_hash",
                                       "consistent_hash",
                                       "maglev",
                                       NULL};
static const char *const proxy_versions[] = {
    [CONF_PROXY_OFF] = "off", [CONF_PROXY_V1] = "v1", [CONF_PROXY_V2] = "v2", NULL};

static const char *const all_down_names[] = {
    [CONF_ALL_DOWN_FAIL] = "fail", [CONF_ALL_DOWN_TRY] = "try", NULL};
static const char *const hashing[] = {"ip_hash", "url_hash", "consistent_hash", "maglev", NULL};
static const char *const weighing[] = {"weighted_round_robin",
                                       "least_connections",
                                       "weighted_least_connections",
                                       "least_response_time",
                                       "fastest_response",
                                       "random",
                                       "power_of_two",
                                       NULL};

static bool is_among(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

bool conf_algorithm_hashes(const char *name)
{
    return is_among(hashing, name);
}

bool conf_algorithm_weighs(const char *name)
{
    return is_among(weighing, name);
}

static const char *const pool_protocols[] = {
    [CONF_TO_HTTP1] = "http1", [CONF_TO_H2] = "h2", [CONF_TO_H2C] = "h2c", NULL};

static const struct conf_row backend_rows[] = {
    {.name = "name",
     .type = CONF_T_NAME,
     FIELD(struct conf_backend, name),
     .max = NAME_MAX_BYTES - 1,
     .also = "id",
     .help = "Unique in its pool; the address when left out"},
    {.name = "address",
     .type = CONF_T_ADDRESS,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_backend, address),
     .also = "host server url endpoint",
     .help = "`10.0.0.1:8080`, `[::1]:8080`, `name:8080` (resolved when the file is loaded), or "
             "`unix:/path`"},
    {.name = "weight",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_backend, weight),
     .fallback = "1",
     .max = 256,
     .help = "Share of the traffic relative to the others; `0`: no new requests"},
    {.name = "max_connections",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_backend, max_connections),
     .fallback = "1000",
     .max = 1000000,
     .also = "maxconn max_conns",
     .help = "Most requests (tcp: connections) at a time, over all workers; `0`: no limit"},
    {.name = "backup",
     .type = CONF_T_BOOL,
     FIELD(struct conf_backend, backup),
     .fallback = "false",
     .help = "Gets traffic only while no other backend of the pool can"},
    {.name = "health",
     .type = CONF_T_HEALTH,
     FIELD(struct conf_backend, health),
     .section = &conf_section_health,
     .also = "health_check check healthcheck",
     .help = "What is checked otherwise than in the pool's `health`: any of its settings"},
    {.name = "resolve",
     .type = CONF_T_DURATION,
     FIELD(struct conf_backend, resolve_ms),
     .fallback = "0s",
     .max = DURATION_MAX,
     .help =
         "The address is a name to be looked up so often while the instance runs: each of its "
         "addresses (A, AAAA; at most 64) is a backend, and stays as it is while the address does. "
         "`srv:_http._tcp.name` asks for service records, with their ports, weights, priorities "
         "(the best serves, the others are `backup`). A name that cannot be looked up keeps what "
         "it "
         "had; at the start that is nothing. `\"0s\"`: looked up once, when the file is loaded"},
    END};
const struct conf_section conf_section_backend = {
    "pools.*.backends", backend_rows,
    "A list of groups, or short: `[ \"10.0.0.1:8080\", \"10.0.0.2:8080\" ]`."};

static const struct conf_row pool_timeout_rows[] = {
    {.name = "connect",
     .type = CONF_T_DURATION,
     FIELD(struct conf_timeouts, connect_ms),
     .fallback = "5s",
     .min = 1,
     .max = HOUR,
     .help = "For a connection to a backend to be made"},
    {.name = "send",
     .type = CONF_T_DURATION,
     FIELD(struct conf_timeouts, send_ms),
     .fallback = "60s",
     .min = 1,
     .max = DURATION_MAX,
     .also = "write",
     .help = "While a backend takes nothing of what it is sent"},
    {.name = "read",
     .type = CONF_T_DURATION,
     FIELD(struct conf_timeouts, read_ms),
     .fallback = "60s",
     .min = 1,
     .max = DURATION_MAX,
     .also = "server response",
     .help = "While a backend that owes an answer sends nothing"},
    END};
const struct conf_section conf_section_pool_timeouts = {"pools.*.timeouts", pool_timeout_rows,
                                                        "The backend side."};

static const struct conf_row pool_rows[] = {
    {.name = "balance",
     .type = CONF_T_CHOICE,
     FIELD(struct conf_pool, balance),
     .fallback = "round_robin",
     .names = conf_algorithms,
     .also = "algorithm lb_policy method",
     .help = "How a backend is chosen"},
    {.name = "hash_key",
     .type = CONF_T_HASH_KEY,
     FIELD(struct conf_pool, hash_key),
     .fallback = "client_ip",
     .also = "hash_on hash_by hash key",
     .help = "What `consistent_hash` and `maglev` go by; a request without that header or cookie, "
             "and tcp, goes by the client's address"},
    {.name = "max_load",
     .type = CONF_T_FACTOR,
     .flags = CONF_OWN,
     FIELD(struct conf_pool, max_load_milli),
     .fallback = "0",
     .min = 1001,
     .max = 100000,
     .also = "hash_balance_factor balance_factor bounded_load",
     .help =
         "Of the hash algorithms: no backend has more than so many times its share (by weight) "
         "of the requests in flight, over all workers; a key whose backend has goes to the next "
         "one that has not. `1.25`: a quarter more; `0`: no bound"},
    {.name = "slow_start",
     .type = CONF_T_DURATION,
     FIELD(struct conf_pool, slow_start_ms),
     .fallback = "0s",
     .max = 24 * HOUR,
     .also = "slowstart warm_up",
     .help =
         "A backend that was added or enabled, was found healthy or comes back after failures gets "
         "its weight little by little over this time, from 1/32. Needs an algorithm that goes by "
         "weight or load: a hash "
         "algorithm would have to move keys twice, `round_robin` and `first` know no shares"},
    {.name = "backends",
     .type = CONF_T_BACKENDS,
     .flags = CONF_REQUIRED | CONF_OWN,
     FIELD(struct conf_pool, backends),
     .section = &conf_section_backend,
     .also = "servers members endpoints nodes",
     .help = "Who does the work"},
    {.name = "health",
     .type = CONF_T_GROUP,
     FIELD(struct conf_pool, health),
     .section = &conf_section_health,
     .also = "health_check check healthcheck"},
    {.name = "timeouts",
     .type = CONF_T_GROUP,
     FIELD(struct conf_pool, timeouts),
     .section = &conf_section_pool_timeouts,
     .also = "timeout"},
    {.name = "keepalive",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_pool, keepalive),
     .fallback = "32",
     .max = 100000,
     .help = "Idle connections to backends that each worker keeps open; `0`: none"},
    {.name = "keepalive_timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_pool, keepalive_idle_ms),
     .fallback = "60s",
     .min = SECOND,
     .max = 24 * HOUR,
     .also = "keepalive_idle idle_timeout pool_purge_delay",
     .help = "How long a connection to a backend may idle: less than the backend's own patience"},
    {.name = "keepalive_requests",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_pool, keepalive_requests),
     .fallback = "0",
     .max = 1000000000,
     .also = "max_requests_per_connection",
     .help = "Requests on one connection to a backend, which is closed then; `0`: any number"},
    {.name = "rate_limit",
     .type = CONF_T_RATE_LIMITS,
     .flags = CONF_OWN | CONF_OMIT,
     FIELD(struct conf_pool, rate_limits),
     .section = &conf_section_rate_limit,
     .also = "limit_req ratelimit stick_table throttle",
     .help = "How often this pool may be asked, whichever listener it comes from: see "
             "`listeners.*.rate_limit`"},
    {.name = "max_connections",
     .type = CONF_T_NUMBER,
     .flags = CONF_OWN,
     FIELD(struct conf_pool, max_connections),
     .fallback = "0",
     .max = 10000000,
     .also = "maxconn",
     .help =
         "Most requests (tcp: connections) at a time at all backends of the pool together, over "
         "all workers; `0`: no limit"},
    {.name = "retry",
     .type = CONF_T_GROUP,
     FIELD(struct conf_pool, retry),
     .section = &conf_section_retry,
     .also = "retries proxy_next_upstream"},
    {.name = "passive",
     .type = CONF_T_GROUP,
     FIELD(struct conf_pool, passive),
     .section = &conf_section_passive,
     .also = "max_fails outlier_detection"},
    {.name = "circuit_breaker",
     .type = CONF_T_BREAKER,
     FIELD(struct conf_pool, breaker),
     .section = &conf_section_breaker,
     .also = "breaker",
     .help = "Off unless this group is there; `\"off\"` where `defaults` has one. See "
             "`pools.*.circuit_breaker`"},
    {.name = "queue",
     .type = CONF_T_GROUP,
     FIELD(struct conf_pool, queue),
     .section = &conf_section_queue},
    {.name = "all_down",
     .type = CONF_T_ENUM,
     FIELD(struct conf_pool, all_down),
     .fallback = "fail",
     .names = all_down_names,
     .also = "panic",
     .help =
         "When no backend is usable: `fail` answers 503, `try` asks them all the same (but those "
         "in maintenance, draining, or of weight 0)"},
    {.name = "sticky",
     .type = CONF_T_STICKY,
     FIELD(struct conf_pool, sticky),
     .section = &conf_section_sticky,
     .also = "session persistence affinity session_affinity cookie",
     .help = "Sessions: off unless this group is there; `\"off\"` where `defaults` has one. See "
             "`pools.*.sticky`"},
    {.name = "cache",
     .type = CONF_T_CACHE,
     FIELD(struct conf_pool, cache),
     .section = &conf_section_cache,
     .also = "proxy_cache caching",
     .help = "Keeps responses for all workers: off unless this group is there; `\"off\"` where "
             "`defaults` has one. See `pools.*.cache`"},
    {.name = "tls",
     .type = CONF_T_POOL_TLS,
     .flags = CONF_OWN,
     FIELD(struct conf_pool, tls),
     .section = &conf_section_pool_tls,
     .also = "ssl https"},
    {.name = "protocol",
     .type = CONF_T_ENUM,
     .flags = CONF_OWN,
     FIELD(struct conf_pool, protocol),
     .fallback = "http1",
     .names = pool_protocols,
     .also = "proto http_version alpn",
     .help =
         "What requests are sent as: `http1`; `h2`: HTTP/2 over TLS, agreed on by ALPN; `h2c`: "
         "HTTP/2 without TLS. With HTTP/2 many requests share a connection, gRPC works, and the "
         "default health check connects only (`health.type` = `tcp`; see `grpc`)"},
    {.name = "proxy_protocol",
     .type = CONF_T_ENUM,
     FIELD(struct conf_pool, proxy_protocol),
     .fallback = "off",
     .names = proxy_versions,
     .also = "send_proxy send-proxy send-proxy-v2",
     .help = "The header that names the client, first on every connection to a backend: `v1` (a "
             "line), `v2` (binary) or `off`. An idle connection is then used again only for the "
             "client connection it was made for; checks say that they come from the balancer"},
    END};
const struct conf_section conf_section_pool = {
    "pools.*", pool_rows,
    "Backends that do the same work. The key is the pool's name, spelled like a listener's."};
