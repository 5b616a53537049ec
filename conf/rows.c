#include "conf/rows.h"

#include <string.h>
#include "base/http1.h"
#include "shm/layout.h"

#define WORKERS_MAX  56u /* slots that the table keeps for workers */
#define SECOND       1000ull
#define HOUR         (3600 * SECOND)
#define DURATION_MAX (24 * 24 * HOUR) /* fits a signed 32-bit number of milliseconds */
#define KIB          1024ull

#define FIELD(type_, member)                                                                       \
    .offset = (uint32_t)offsetof(type_, member), .width = (uint32_t)sizeof(((type_ *)0)->member)
#define LATER(name_)                                                                               \
    {                                                                                              \
        .name = (name_), .type = CONF_T_LATER                                                      \
    }
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* struct types_list (conf/types.h) stands for these pairs of fields */
#define PAIR(type_, items, count)                                                                  \
    _Static_assert(offsetof(type_, count) == offsetof(type_, items) + sizeof(void *),              \
                   "a list's count follows its items")
PAIR(struct conf_listener, binds, bind_count);
PAIR(struct conf_admin, binds, bind_count);
PAIR(struct conf_listener, trusted, trusted_count);
PAIR(struct conf_health, expect, expect_count);

const char *const conf_algorithms[] = {"round_robin", "weighted_round_robin", "least_connections",
                                       NULL};
static const char *const algorithms_later[] = {"weighted_least_connections",
                                               "least_response_time",
                                               "fastest_response",
                                               "ip_hash",
                                               "url_hash",
                                               "consistent_hash",
                                               "maglev",
                                               "random",
                                               "power_of_two",
                                               "first",
                                               NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const protocols[] = {[CONF_HTTP] = "http", [CONF_TCP] = "tcp", NULL};
static const char *const protocols_later[] = {"udp", NULL};
static const char *const health_types[] = {
    [CONF_HEALTH_NONE] = "none", [CONF_HEALTH_HTTP] = "http", [CONF_HEALTH_TCP] = "tcp", NULL};
static const char *const health_types_later[] = {"tls", "grpc", "udp", NULL};

static const struct conf_row log_rows[] = {
    {.name = "level",
     .type = CONF_T_CHOICE,
     FIELD(struct conf_log, level),
     .fallback = "info",
     .names = levels,
     .help = "What is written: messages of this importance and above"},
    {.name = "target",
     .type = CONF_T_LOG_TARGET,
     FIELD(struct conf_log, target),
     .fallback = "stderr",
     .also = "file path output",
     .help = "Where to: `stderr`, `syslog`, or the path of a file"},
    END};
static const struct conf_section log_section = {"log", log_rows, "The diagnostic log."};

static const struct conf_row admin_rows[] = {
    {.name = "bind",
     .type = CONF_T_BINDS,
     FIELD(struct conf_admin, binds),
     .fallback = "127.0.0.1:9900",
     .also = "listen address",
     .help =
         "Where the API, the metrics and the dashboard are served: an address, `unix:/path`, or "
         "a list of both"},
    {.name = "token_file",
     .type = CONF_T_TOKEN_FILE,
     FIELD(struct conf_admin, token_file),
     .fallback = "",
     .also = "token password secret",
     .help = "File with the token that changes need; required unless every `bind` is loopback or "
             "unix"},
    END};
static const struct conf_section admin_section = {
    "admin", admin_rows,
    "The admin API, metrics and dashboard. `admin = \"off\"` serves none of them."};

static const struct conf_row listener_timeout_rows[] = {
    {.name = "header",
     .type = CONF_T_DURATION,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_timeouts, header_ms),
     .fallback = "10s",
     .min = 1,
     .max = DURATION_MAX,
     .also = "client_header request",
     .help = "For a client to send a whole request head"},
    {.name = "body",
     .type = CONF_T_DURATION,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_timeouts, body_ms),
     .fallback = "60s",
     .min = 1,
     .max = DURATION_MAX,
     .also = "client_body",
     .help = "Between two parts of a request body"},
    {.name = "idle",
     .type = CONF_T_DURATION,
     .flags = CONF_DERIVED,
     FIELD(struct conf_timeouts, idle_ms),
     .fallback = "60s; tcp: 1h",
     .min = 1,
     .max = DURATION_MAX,
     .also = "keepalive keepalive_timeout client",
     .help = "For a client connection on which nothing happens"},
    END};
static const struct conf_section listener_timeouts_section = {
    "listeners.*.timeouts", listener_timeout_rows, "The client side."};

static const struct conf_row limit_rows[] = {
    {.name = "header_size",
     .type = CONF_T_SIZE,
     FIELD(struct conf_limits, header_bytes),
     .fallback = "32k",
     .min = KIB,
     .max = 64 * KIB, /* what a worker's large buffer holds */
     .help = "Longest request head, start line included; more is answered with 431 (or 414)"},
    {.name = "headers",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_limits, headers),
     .fallback = "128",
     .min = 1,
     .max = HTTP1_HEADERS_MAX,
     .help = "Most header fields in a request; more are answered with 431"},
    {.name = "body_size",
     .type = CONF_T_SIZE,
     FIELD(struct conf_limits, body_bytes),
     .fallback = "50m",
     .min = 0,
     .max = 1ull << 50,
     .also = "client_max_body_size max_body_size",
     .help = "Longest request body; more is answered with 413. `0b`: no limit"},
    LATER("connections_per_client"),
    END};
static const struct conf_section limits_section = {"listeners.*.limits", limit_rows,
                                                   "What one request may be."};

static const struct conf_row listener_rows[] = {
    {.name = "bind",
     .type = CONF_T_BINDS,
     .flags = CONF_REQUIRED | CONF_OWN,
     FIELD(struct conf_listener, binds),
     .also = "listen address port",
     .help =
         "Where clients connect: `*:80` (IPv4 and IPv6), `0.0.0.0:80` (IPv4), `[::]:80` (IPv6), "
         "`10.0.0.1:80`, `unix:/path`, or a list of these"},
    {.name = "protocol",
     .type = CONF_T_ENUM,
     FIELD(struct conf_listener, protocol),
     .fallback = "http",
     .names = protocols,
     .later = protocols_later,
     .also = "mode type",
     .help = "`http` understands requests, `tcp` forwards bytes"},
    {.name = "pool",
     .type = CONF_T_POOL,
     .flags = CONF_REQUIRED | CONF_OWN,
     FIELD(struct conf_listener, pool),
     .also = "default_backend use_backend proxy_pass upstream backend",
     .help = "The pool that gets the traffic"},
    {.name = "timeouts",
     .type = CONF_T_GROUP,
     FIELD(struct conf_listener, timeouts),
     .section = &listener_timeouts_section,
     .also = "timeout"},
    {.name = "limits",
     .type = CONF_T_GROUP,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_listener, limits),
     .section = &limits_section},
    {.name = "trusted",
     .type = CONF_T_CIDRS,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_listener, trusted),
     .fallback = "",
     .also = "set_real_ip_from",
     .help = "Networks whose `X-Forwarded-For` is believed, such as `[ \"10.0.0.0/8\" ]`"},
    LATER("tls"),
    LATER("proxy_protocol"),
    LATER("access_log"),
    LATER("response_headers"),
    LATER("rate_limit"),
    LATER("routes"),
    LATER("redirect"),
    LATER("sni"),
    LATER("responses"),
    END};
const struct conf_section conf_section_listener = {
    "listeners.*", listener_rows,
    "What clients connect to. The key is the listener's name: a letter, then letters, digits, `_` "
    "and `-`, at most 63."};

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
    LATER("resolve"),
    END};
const struct conf_section conf_section_backend = {
    "pools.*.backends", backend_rows,
    "A list of groups, or short: `[ \"10.0.0.1:8080\", \"10.0.0.2:8080\" ]`."};

static const struct conf_row health_rows[] = {
    {.name = "type",
     .type = CONF_T_ENUM,
     .flags = CONF_DERIVED,
     FIELD(struct conf_health, type),
     .fallback = "http; pools used by tcp listeners only: tcp",
     .names = health_types,
     .later = health_types_later,
     .also = "mode protocol",
     .help = "`http` asks for `path`, `tcp` connects, `none` checks nothing"},
    {.name = "path",
     .type = CONF_T_URI_PATH,
     FIELD(struct conf_health, path),
     .fallback = "/health",
     .max = 1024,
     .also = "uri url",
     .help = "What an http check asks for"},
    {.name = "host",
     .type = CONF_T_HOST,
     FIELD(struct conf_health, host),
     .fallback = "",
     .max = 255,
     .help = "Host field of an http check; empty: the backend's address"},
    {.name = "port",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_health, port),
     .fallback = "0",
     .max = 65535,
     .help = "Port to check; `0`: the one that gets the traffic"},
    {.name = "expect",
     .type = CONF_T_EXPECT,
     FIELD(struct conf_health, expect),
     .fallback = "200-299",
     .also = "status match",
     .help = "Statuses that count as healthy: `\"200\"`, `\"200-299\"`, `\"200,204\"`, or a list"},
    {.name = "interval",
     .type = CONF_T_DURATION,
     FIELD(struct conf_health, interval_ms),
     .fallback = "10s",
     .min = 10,
     .max = DURATION_MAX,
     .also = "inter period",
     .help = "Between two checks of a backend"},
    {.name = "timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_health, timeout_ms),
     .fallback = "5s",
     .min = 1,
     .max = HOUR,
     .help = "A check that takes longer has failed"},
    {.name = "healthy_threshold",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_health, healthy_threshold),
     .fallback = "2",
     .min = 1,
     .max = 1000,
     .also = "rise passes",
     .help = "Checks in a row that must pass before an unhealthy backend gets traffic again"},
    {.name = "unhealthy_threshold",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_health, unhealthy_threshold),
     .fallback = "3",
     .min = 1,
     .max = 1000,
     .also = "fall fails",
     .help = "Checks in a row that must fail before a healthy backend gets none"},
    END};
static const struct conf_section health_section = {"pools.*.health", health_rows,
                                                   "Active health checks."};

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
static const struct conf_section pool_timeouts_section = {"pools.*.timeouts", pool_timeout_rows,
                                                          "The backend side."};

static const struct conf_row pool_rows[] = {
    {.name = "balance",
     .type = CONF_T_CHOICE,
     FIELD(struct conf_pool, balance),
     .fallback = "round_robin",
     .names = conf_algorithms,
     .later = algorithms_later,
     .also = "algorithm lb_policy method",
     .help = "How a backend is chosen"},
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
     .section = &health_section,
     .also = "health_check check healthcheck"},
    {.name = "timeouts",
     .type = CONF_T_GROUP,
     FIELD(struct conf_pool, timeouts),
     .section = &pool_timeouts_section,
     .also = "timeout"},
    {.name = "keepalive",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_pool, keepalive),
     .fallback = "32",
     .max = 100000,
     .help = "Idle connections to backends that each worker keeps open; `0`: none"},
    LATER("hash_key"),
    LATER("max_load"),
    LATER("passive"),
    LATER("slow_start"),
    LATER("circuit_breaker"),
    LATER("retry"),
    LATER("sticky"),
    LATER("queue"),
    LATER("tls"),
    LATER("protocol"),
    LATER("proxy_protocol"),
    END};
const struct conf_section conf_section_pool = {
    "pools.*", pool_rows,
    "Backends that do the same work. The key is the pool's name, spelled like a listener's."};

static const struct conf_row top_rows[] = {
    {.name = "workers",
     .type = CONF_T_WORKERS,
     .fallback = "auto",
     .min = 1,
     .max = WORKERS_MAX,
     .also = "worker_processes nbthread nbproc threads",
     .help = "Processes that serve traffic: a number, or `auto`: one per CPU"},
    {.name = "user",
     .type = CONF_T_USER,
     FIELD(struct conf, user),
     .fallback = "ballast",
     .min = 1,
     .max = 255,
     .help = "Started as root, everything but the master runs as this user. Where the default does "
             "not exist, it is `nobody`"},
    {.name = "pid_file",
     .type = CONF_T_PATH,
     FIELD(struct conf, pid_file),
     .fallback = "/run/ballast/ballast.pid",
     .also = "pid pidfile",
     .help = "File with the master's process id; empty: none"},
    {.name = "max_connections",
     .type = CONF_T_NUMBER,
     FIELD(struct conf, max_connections),
     .fallback = "50000",
     .min = 1,
     .max = 10000000,
     .also = "maxconn worker_connections",
     .help = "Most client connections at a time, all listeners together"},
    {.name = "drain_timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf, drain_timeout_ms),
     .fallback = "30s",
     .max = DURATION_MAX,
     .also = "grace shutdown_timeout worker_shutdown_timeout",
     .help = "How long a graceful stop lets requests in flight finish"},
    {.name = "log", .type = CONF_T_GROUP, FIELD(struct conf, log), .section = &log_section},
    {.name = "admin",
     .type = CONF_T_ADMIN,
     FIELD(struct conf, admin),
     .section = &admin_section,
     .also = "stats api"},
    {.name = "defaults",
     .type = CONF_T_DEFAULTS,
     .help =
         "What a listener or a pool may say, but `bind`, `pool` and `backends`: inherited by all "
         "of them"},
    {.name = "listeners",
     .type = CONF_T_LISTENERS,
     .flags = CONF_REQUIRED,
     FIELD(struct conf, listeners),
     .section = &conf_section_listener,
     .also = "frontends frontend servers server listen",
     .help = "What clients connect to, by name"},
    {.name = "pools",
     .type = CONF_T_POOLS,
     FIELD(struct conf, pools),
     .section = &conf_section_pool,
     .also = "upstreams upstream backends backend clusters",
     .help = "Where traffic goes, by name"},
    LATER("state_file"),
    END};
const struct conf_section conf_section_top = {"", top_rows, "The whole instance."};

const struct conf_section *const conf_sections[] = {&conf_section_top,
                                                    &log_section,
                                                    &admin_section,
                                                    &conf_section_listener,
                                                    &listener_timeouts_section,
                                                    &limits_section,
                                                    &conf_section_pool,
                                                    &conf_section_backend,
                                                    &health_section,
                                                    &pool_timeouts_section,
                                                    NULL};

const struct conf_row *rows_find(const struct conf_section *section, const char *name)
{
    for (const struct conf_row *row = section->rows; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}
