#include "conf/rows_define.h"

#include <string.h>
#include "shm/grant.h"
#include "shm/slot.h"

PAIR(struct conf_admin, binds, bind_count);
PAIR(struct conf, resolvers, resolver_count);

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};

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
    {.name = "table_group",
     .type = CONF_T_SYSTEM_GROUP,
     FIELD(struct conf, table_group),
     .fallback = "",
     .help = "Group whose members may read the table of live state: programs that use the client "
             "library, and `ballast top` and `ballast events` without being the user who started "
             "it. They can read all of it, what the cache holds too; nobody else can write it. "
             "Empty: only the user who started it, and root"},
    {.name = "client_leases",
     .type = CONF_T_NUMBER,
     FIELD(struct conf, client_leases),
     .fallback = "0",
     .max = GRANT_MAX,
     .also = "leases client_lease",
     .help = "Programs with the client library (members of `table_group`, and the user who started "
             "it) that can take part in the exact counts: so many leases are given out, one to "
             "each client. 0: the library only reads the table, and its requests are in no count"},
    {.name = "client_lease_connections",
     .type = CONF_T_NUMBER,
     FIELD(struct conf, client_lease_connections),
     .fallback = "1000",
     .min = 1,
     .max = 1000000,
     .help =
         "Most requests that one client may have in flight by its lease: what one that errs, or "
         "lies, can keep from others"},
    {.name = "client_reports",
     .type = CONF_T_BOOL,
     FIELD(struct conf, client_reports),
     .fallback = "true",
     .help =
         "Failures that clients report count for passive health and circuit breakers, and their "
         "response times for `least_response_time`, as those that workers meet. With `false` "
         "they are only counted"},
    {.name = "pid_file",
     .type = CONF_T_PATH,
     FIELD(struct conf, pid_file),
     .fallback = "/run/ballast/ballast.pid",
     .also = "pid pidfile",
     .help = "File with the master's process id; empty: none"},
    {.name = "state_file",
     .type = CONF_T_PATH,
     FIELD(struct conf, state_file),
     .fallback = "/var/lib/ballast/state",
     .also = "state statefile server_state_file",
     .help = "Where what the API changed (weights, maintenance, added backends) is kept over a "
             "restart; empty: nowhere. An instance started from flags alone keeps nothing"},
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
    {.name = "watchdog",
     .type = CONF_T_DURATION,
     FIELD(struct conf, watchdog_ms),
     .fallback = "10s",
     .min = 2 * SECOND,
     .max = DURATION_MAX,
     .also = "watchdog_timeout harakiri",
     .help =
         "A process that does not move for so long (hanging, stopped) is killed and replaced; it "
         "is reported after 3s. Longer while a debugger holds one"},
    {.name = "io_uring",
     .type = CONF_T_BOOL,
     FIELD(struct conf, io_uring),
     .fallback = "true",
     .also = "iouring uring",
     .help =
         "Workers receive what has come for one turn of their loop with one system call, and send "
         "what they have to say with another, where the kernel offers io_uring; where it does "
         "not, or with `false`, message by message"},
    {.name = "sandbox",
     .type = CONF_T_BOOL,
     FIELD(struct conf, sandbox),
     .fallback = "true",
     .also = "landlock chroot seccomp",
     .help =
         "Where the kernel has Landlock, workers open no files once they have started (but what "
         "libraries load), and the other processes beside the master open them for reading "
         "only. `false`: as `user` may; for a profiler that writes files, or core dumps. Counts "
         "for "
         "processes that start after it was changed, such as those of `ballast upgrade`"},
    {.name = "resolvers",
     .type = CONF_T_RESOLVERS,
     FIELD(struct conf, resolvers),
     .fallback = "",
     .also = "resolver nameservers dns",
     .help =
         "Name servers for backends with `resolve`: `[ \"10.0.0.53\", \"127.0.0.1:5353\" ]`; none: "
         "those of /etc/resolv.conf"},
    {.name = "log", .type = CONF_T_GROUP, FIELD(struct conf, log), .section = &log_section},
    {.name = "admin",
     .type = CONF_T_ADMIN,
     FIELD(struct conf, admin),
     .section = &admin_section,
     .also = "stats api"},
    {.name = "cache",
     .type = CONF_T_GROUP,
     FIELD(struct conf, cache),
     .section = &conf_section_cache_store,
     .also = "proxy_cache_path"},
    {.name = "defaults",
     .type = CONF_T_DEFAULTS,
     .help =
         "What a listener or a pool may say, but `bind`, `pool` and `backends`: inherited by all "
         "of them"},
    {.name = "conditions",
     .type = CONF_T_CONDITIONS,
     .flags = CONF_OMIT,
     FIELD(struct conf, conditions),
     .section = &conf_section_condition,
     .also = "acl acls",
     .help = "Named conditions that routes refer to"},
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
    END};
const struct conf_section conf_section_top = {"", top_rows, "The whole instance."};

const struct conf_section *const conf_sections[] = {&conf_section_top,
                                                    &log_section,
                                                    &admin_section,
                                                    &conf_section_listener,
                                                    &conf_section_listener_timeouts,
                                                    &conf_section_limits,
                                                    &conf_section_access_log,
                                                    &conf_section_rate_limit,
                                                    &conf_section_sni,
                                                    &conf_section_tls,
                                                    &conf_section_certificate,
                                                    &conf_section_pool,
                                                    &conf_section_backend,
                                                    &conf_section_health,
                                                    &conf_section_pool_timeouts,
                                                    &conf_section_route,
                                                    &conf_section_split,
                                                    &conf_section_route_timeouts,
                                                    &conf_section_request_headers,
                                                    &conf_section_response_headers,
                                                    &conf_section_error_page,
                                                    &conf_section_compression,
                                                    &conf_section_auth,
                                                    &conf_section_jwt,
                                                    &conf_section_auth_request,
                                                    &conf_section_condition,
                                                    &conf_section_retry,
                                                    &conf_section_passive,
                                                    &conf_section_breaker,
                                                    &conf_section_queue,
                                                    &conf_section_sticky,
                                                    &conf_section_pool_tls,
                                                    &conf_section_cache_store,
                                                    &conf_section_cache,
                                                    NULL};

bool rows_fit(const struct conf_row *row, unsigned kind)
{
    unsigned needs = row->flags & CONF_HTTP_ONLY ? CONF_KIND_HTTP : row->needs;
    return kind == 0 || needs == 0 || (needs & kind);
}

const struct conf_row *rows_find(const struct conf_section *section, const char *name)
{
    for (const struct conf_row *row = section->rows; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

const struct conf_kinds *rows_kinds(const struct conf_section *section)
{
    return section == conf_kinds_health.section ? &conf_kinds_health : NULL;
}

bool rows_apply(const struct conf_section *section, const struct conf_row *row, const void *base)
{
    const struct conf_kinds *kinds = rows_kinds(section);
    return row->kinds == 0 || kinds == NULL || row->kinds & kinds->kind(base);
}
