/*
 * conf/conf.h: one generation's configuration: immutable after conf_load, in one arena. Master
 * builds it (conf_load -> validate -> table rows), seals it, and every process reads the very same
 * bytes: the arena is a memfd mapped at the same address everywhere (proc/bundle.h), so a worker
 * parses nothing, opens no file, and adopting a generation is one mmap.
 *
 * Strings are never NULL ("" when unset) unless said otherwise. Durations are milliseconds, sizes
 * bytes. A setting inherited from `defaults` is already resolved in the listener or pool. What the
 * master gives (ids, rows, entries) is INDEX_NONE until then. Rows (conf/rows.h) describe each
 * option once.
 */
#ifndef BALLAST_CONF_CONF_H
#define BALLAST_CONF_CONF_H

#include "base/arena.h"
#include "base/base.h"
#include "base/net.h"
#include "shm/rate.h"
#include "conf/cache.h"
#include "conf/policy.h"
#include "conf/tls.h"

struct conf_pos {
    const char *file;
    uint32_t line; /* 0: not from a file */
};

enum conf_protocol { CONF_HTTP, CONF_TCP, CONF_UDP };
const char *conf_protocol_name(enum conf_protocol protocol); /* "http", ... */

struct conf_bind {
    const char *text; /* as written */
    struct net_addr addr;
    bool datagram; /* udp */
    uint32_t id; /* of the open socket group; given by the master, kept across generations while the
                  address stays */
    struct conf_pos pos;
};

struct conf_status_range {
    uint16_t from, to;
};

struct conf_timeouts {
    uint32_t header_ms, body_ms, idle_ms;  /* client side: 10s, 60s, 60s (tcp: idle 1h) */
    uint32_t connect_ms, send_ms, read_ms; /* backend side: 5s, 60s, 60s */
};

struct conf_limits {
    uint32_t header_bytes;           /* 32k */
    uint32_t headers;                /* 128 */
    uint64_t body_bytes;             /* 50m; 0: no limit */
    uint32_t connections_per_client; /* 0: no limit */
    uint64_t bandwidth;              /* bytes in a second to one client connection; 0: no limit */
    uint64_t upload_bandwidth;       /* from it */
};

struct conf_rate {
    uint32_t count, period_ms; /* so many in so long */
};
enum conf_key {
    CONF_KEY_CLIENT_IP,
    CONF_KEY_GLOBAL,
    CONF_KEY_URI,
    CONF_KEY_PATH,
    CONF_KEY_HOST,
    CONF_KEY_HEADER,
    CONF_KEY_COOKIE
};
struct conf_rate_limit {
    enum rate_algorithm algorithm;
    struct conf_rate rate;
    uint32_t burst;   /* 0 with sliding_window */
    uint32_t entries; /* 100000 */
    const char *key;  /* as written */
    enum conf_key key_kind;
    const char *key_name; /* of the header or cookie */
    uint32_t key_name_len;
    bool headers;
    const char *owner;            /* "listeners.web" */
    uint64_t fingerprint;         /* of what it says */
    struct rate_plan plan;        /* compiled */
    uint32_t row;                 /* in the table; given by the master */
    struct conf_rate_limit *next; /* of all in this configuration */
    struct conf_pos pos;
};
struct conf_sni;

/* A name and the value it must have; value NULL: any, as long as it is there. */
struct conf_named {
    const char *name, *value;
    uint32_t name_len, value_len;
    struct conf_pos pos;
};

/* Header fields as asked for. */
struct conf_headers {
    struct conf_named *set; /* replaces every field of that name */
    uint32_t set_count;
    struct conf_named *add;
    uint32_t add_count;
    const char **remove;
    uint32_t remove_count;
    bool always; /* responses: also on error replies of our own */
    struct conf_pos pos;
};

/* Who may come at all. */
struct conf_networks {
    struct net_cidr *allow; /* none: everybody */
    uint32_t allow_count;
    struct net_cidr *deny;
    uint32_t deny_count;
};

struct conf_compression; /* conf/compress.h */
struct conf_auth;        /* conf/auth.h */
/* conf/route.h */
struct conf_routes;
struct conf_route;
struct conf_edits;
struct conf_error_page;
struct conf_condition;
struct conf_regex;

enum conf_access_format { ACCESS_JSON, ACCESS_COMBINED, ACCESS_COMMON };
struct conf_access_log {
    const char *target; /* auto | stdout | stderr | syslog | an absolute path */
    enum conf_access_format format;
    bool off;
    const char *path; /* what the target stands for here; "": no log */
    uint32_t sink;    /* given by the master: the same for all that write to one target */
};

/* What becomes of the Forwarded field of requests. */
enum conf_forwarded {
    CONF_FORWARDED_TRUSTED, /* that of a trusted proxy passes */
    CONF_FORWARDED_SET,     /* ours stands behind it */
    CONF_FORWARDED_PASS,
    CONF_FORWARDED_REMOVE
};

struct conf_listener {
    const char *name;
    uint32_t name_len;
    enum conf_protocol protocol;
    uint32_t max_connections; /* clients; 0: only the instance's limit */
    struct conf_bind *binds;
    uint32_t bind_count;
    uint32_t pool; /* index into conf.pools; INDEX_NONE: what no route takes is answered with 404 */
    struct conf_routes *routes; /* NULL: none */
    const char *redirect;       /* of what no route takes; NULL: none */
    struct conf_headers request_headers, response_headers;
    struct conf_error_page *error_pages;
    uint32_t error_page_count;
    struct conf_networks networks;
    struct conf_auth *auth;               /* NULL: none */
    struct conf_compression *compression; /* conf/compress.h; NULL: none */
    const struct conf_route *fallback;    /* what no route takes: never NULL with protocol http */

    struct conf_timeouts timeouts;
    struct conf_limits limits;
    struct net_cidr *trusted;
    uint32_t trusted_count;
    bool proxy_protocol; /* every connection begins with a PROXY header */
    enum conf_forwarded forwarded;
    struct conf_rate_limit *rate_limits;
    uint32_t rate_limit_count;
    struct conf_sni *sni; /* conf/sni.h; NULL: none */
    struct conf_tls *tls; /* NULL: clients do not speak TLS */
    struct conf_access_log access_log;
    bool traceparent;            /* every request has a valid one */
    uint32_t traceparent_sample; /* percent of the traces that begin here: sampled */
    bool quic;                   /* udp: clients are known by connection ids too */
    uint32_t responses;          /* udp: datagrams that answer one of a client; 0: any number */
    uint32_t row;                /* in the table; given by the master */
    struct conf_pos pos;
};

/* What is spoken to backends. */
enum conf_pool_protocol { CONF_TO_HTTP1, CONF_TO_H2, CONF_TO_H2C };

enum conf_proxy_version { CONF_PROXY_OFF, CONF_PROXY_V1, CONF_PROXY_V2 };

enum conf_health_type {
    CONF_HEALTH_NONE,
    CONF_HEALTH_HTTP,
    CONF_HEALTH_TCP,
    CONF_HEALTH_TLS,
    CONF_HEALTH_GRPC,
    CONF_HEALTH_UDP
};

/* Bytes that may hold zeros. */
struct conf_bytes {
    const char *text; /* as written, escapes included */
    const char *data;
    uint32_t len;
};

struct conf_pair {
    const char *name, *value;
};

/* A string with its place, for what can be judged only when the rest is known. */
struct conf_text {
    const char *text;
    struct conf_pos pos;
};

/*
 * One set of checks: of a pool, or of a backend that differs from its pool. Complete: what was
 * inherited is filled in. Only what conf_health_kinds says belongs to the type is to be read.
 */
struct conf_health {
    enum conf_health_type type; /* default http for http pools, tcp for pools only used by tcp
                                   listeners; "none" turns it off */
    const char *path;           /* /health */
    const char *host;           /* Host field; "": the backend's endpoint */
    const char *method;         /* GET */
    struct conf_pair *headers;
    uint32_t header_count;
    const char *body;    /* a part of it; "": the body is not read */
    const char *service; /* grpc; "": the whole server */
    struct conf_bytes send;
    struct conf_text *expect_texts; /* as written */
    uint32_t expect_text_count;
    struct conf_status_range *expect; /* http: statuses */
    uint32_t expect_count;
    struct conf_bytes expect_bytes; /* tcp, udp: a part of the answer; len 0: none wanted */
    bool tls;                       /* http, tcp, grpc: inside TLS */
    bool verify;
    const char *sni;                  /* "": the host, when it has a name */
    const char *ca;                   /* absolute; "": the system's */
    const char *ca_pem;               /* contents; "": the system's */
    enum conf_proxy_version proxy;    /* what a connection begins with: as the traffic's, unless it
                                         goes to a port of its own */
    uint16_t port;                    /* 0: the traffic port */
    uint32_t interval_ms, timeout_ms; /* 10s, 5s */
    uint32_t healthy_threshold, unhealthy_threshold; /* 2, 3 */
    struct conf_pos *said; /* by row: where it was set here, not inherited; file NULL: it was not */
};

struct conf_backend {
    const char *name;    /* defaults to the address as written */
    const char *address; /* as written */
    struct net_addr addr;
    uint32_t weight;          /* 1; 0..256, 0: no new requests */
    uint32_t max_connections; /* 1000; 0: no limit */
    bool backup;
    struct conf_health *health; /* NULL: as the pool's */
    uint32_t resolve_ms;        /* 0: addr holds; else the address is a name that is looked up again
                                   and again, its entries are health's, and entry is INDEX_NONE */
    uint32_t entry;             /* in the table; given by the master */
    struct conf_pos pos;
};

struct conf_pool {
    const char *name;
    uint32_t name_len;
    const char *balance;  /* a name of worker/lb's rows; checked at load against conf_algorithms */
    const char *hash_key; /* "client_ip", "uri", "path", "host", "header:NAME", "cookie:NAME" */
    struct conf_backend *backends;
    uint32_t backend_count;
    struct conf_health health;
    struct conf_timeouts timeouts;          /* connect, send, read */
    enum conf_proxy_version proxy_protocol; /* what a connection to a backend begins with */
    struct conf_rate_limit *rate_limits;
    uint32_t rate_limit_count;
    enum conf_pool_protocol protocol;
    struct conf_pool_tls *tls;   /* NULL: backends are not spoken to over TLS */
    uint32_t slow_start_ms;      /* 0: none */
    uint32_t max_load_milli;     /* 0: no bound; 1250: 1.25 times the fair share */
    uint32_t keepalive;          /* 32: idle upstream connections kept per worker and pool */
    uint32_t keepalive_idle_ms;  /* for so long */
    uint32_t keepalive_requests; /* 0: any number */
    uint32_t row;                /* in the table; given by the master */
    struct conf_retry retry;
    struct conf_passive passive;
    struct conf_queue queue;
    const struct conf_breaker *breaker; /* NULL: none */
    const struct conf_sticky *sticky;   /* NULL: no sessions */
    struct conf_cache *cache;           /* NULL: nothing is kept */
    enum conf_all_down all_down;
    uint32_t max_connections; /* of all backends together; 0: no limit */
    struct conf_pos pos;
};

struct conf_log {
    const char *level;  /* error | warning | info | debug */
    const char *target; /* stderr | syslog | an absolute path */
};

struct conf_admin {
    struct conf_bind *binds;
    uint32_t bind_count;
    const char *token_file; /* absolute */
    const char *token; /* contents, trailing newline removed; "" : none. A secret: never dumped. */
    bool off;          /* admin = "off" */
};

struct conf {
    uint32_t generation; /* given by the master */
    const char *path;    /* absolute; "" when made from the command line */
    uint32_t workers;    /* resolved: at least 1 */
    bool workers_auto;
    const char *user; /* exists, when this is root; "nobody" where the default "ballast" does not */
    const char *table_group;           /* exists; "": none */
    uint32_t client_leases;            /* 0: none, no broker runs */
    uint32_t client_lease_connections; /* of each */
    bool client_reports;
    const char *pid_file;   /* absolute; "": none */
    const char *state_file; /* absolute; "": none */
    uint32_t max_connections;
    uint32_t drain_timeout_ms;
    struct conf_text *resolvers; /* name servers, "10.0.0.1:53"; none: those of /etc/resolv.conf */
    uint32_t resolver_count;
    uint32_t watchdog_ms; /* 10s */
    bool io_uring;        /* true */
    bool sandbox;         /* true */
    struct conf_log log;
    struct conf_admin admin;
    struct conf_cache_store cache;
    struct conf_listener *listeners;
    uint32_t listener_count;
    struct conf_pool *pools;
    uint32_t pool_count;
    struct conf_rate_limit *rate_limits; /* all there are, linked */
    struct conf_condition *conditions;
    uint32_t condition_count;
    struct conf_regex *regexes; /* of all routes and conditions, each once */
    uint32_t regex_count;
    uint32_t jwt_key_count;        /* of all there are */
    const struct conf_file *files; /* it names; conf/named_files.h */
};

/* One problem of a file. */
struct conf_error {
    struct conf_pos pos;
    const char *text;
    struct conf_error *next;
};
struct conf_errors {
    struct arena *arena; /* texts live here; not the configuration's arena */
    struct conf_error *first, *last;
    uint32_t count;
};

/* Reads, validates and resolves a file. Everything lands in `arena`. NULL when there is any error;
 * all of them are in errors, each with file:line. conf_errors_init first. */
struct conf *conf_load(const char *path, struct arena *arena,
                       struct conf_errors *errors) MUST_CHECK;
/* The same for a reload: what took time to find out about files that have not changed since
 * `former` was loaded is copied from there (certificates). former may be NULL. */
struct conf *conf_load_after(const char *path, const struct conf *former, struct arena *arena,
                             struct conf_errors *errors) MUST_CHECK;
/* The same from a text in memory (command line, tests, API); name stands for the file in messages.
 * Nothing can be included. */
struct conf *conf_load_text(const char *text, const char *name, struct arena *arena,
                            struct conf_errors *errors) MUST_CHECK;
/* What is in the files that it names, as lines of comment (malloc'd; NULL without memory), and as
 * of when such lines were written: for somebody who has the text of a configuration, but not its
 * files as they were. */
char *conf_fingerprints(const struct conf *c) MUST_CHECK;
void conf_take_fingerprints(struct conf *c, const char *text, struct arena *arena);
void conf_errors_init(struct conf_errors *errors, struct arena *arena);
void conf_errors_add(struct conf_errors *errors, struct conf_pos pos, const char *fmt, ...)
    PRINTF(3, 4);
/* "file:line: error: text", one line each, malloc'd in errors' arena. */
const char *conf_errors_format(const struct conf_errors *errors);

/* ballast run --listen ... --backend ...: writes the configuration text those flags stand for into
 * arena. */
struct conf_flags {
    const char *listen[16];
    uint32_t listen_count;
    const char *backends[256]; /* "host:port[,weight=N][,max_connections=N][,backup][,name=S]" */
    uint32_t backend_count;
    const char *algorithm, *admin, *log_level;
    const char *workers;
};
const char *conf_from_flags(const struct conf_flags *flags, struct arena *arena);

/* Effective configuration, defaults included, secrets redacted: libconfig text (ballast show; loads
 * again to the same configuration) or JSON (GET /lb/config). Driven by the rows. malloc'd; the
 * caller frees. */
char *conf_dump_text(const struct conf *c) MUST_CHECK;
char *conf_dump_json(const struct conf *c) MUST_CHECK;
/* Markdown tables of all options (docs/configuration.md is generated from it). malloc'd. */
char *conf_dump_options_markdown(void) MUST_CHECK;
/* The settings of this name for a terminal: "weight", "health.interval", a whole group ("health"),
 * or what another product calls it ("maxconn"). malloc'd; NULL: there is none. */
char *conf_help_text(const char *name) MUST_CHECK;
struct suggest;
void conf_help_suggest(struct suggest *s); /* offers the names of all settings */

/* The listener that a bind id belongs to, or NULL. */
static inline const struct conf_listener *conf_listener_of_bind(const struct conf *c, uint32_t id)
{
    for (uint32_t i = 0; i < c->listener_count; i++)
        for (uint32_t b = 0; b < c->listeners[i].bind_count; b++)
            if (c->listeners[i].binds[b].id == id)
                return &c->listeners[i];
    return NULL;
}

/* What going from one configuration to the other changes, one line each ("pool app: backend b3
 * added"); both may be NULL. Where an object comes or goes, the names say which. */
enum conf_change_kind { CONF_CHANGED, CONF_ADDED, CONF_REMOVED };
struct conf_change {
    const char *text;
    struct conf_change *next;
    enum conf_change_kind kind;
    const char *listener, *pool, *backend; /* NULL: not about one; backend: of that pool */
};
struct conf_change *conf_plan(const struct conf *from, const struct conf *to, struct arena *arena);

#endif
