/*
 * conf/rows.h: one row per option: where it stands, type, default, bounds, help. Loading,
 * unknown-key hints, `ballast show`, GET /lb/config, `ballast plan` and docs/configuration.md come
 * from these rows and from nothing else.
 *
 * To add an option: a field in conf.h and a row here. To build one that is refused today: turn its
 * LATER row into a real one. A new kind of value is a row of conf_types (conf/types.h).
 */
#ifndef BALLAST_CONF_ROWS_H
#define BALLAST_CONF_ROWS_H

#include "conf/conf.h"

enum conf_type_id {
    CONF_T_LATER, /* a name of a future version: refused */
    CONF_T_GROUP, /* a nested group with a section of its own, its struct embedded at the offset */
    CONF_T_STRING,
    CONF_T_PATH, /* of the file system; kept absolute */
    CONF_T_URI_PATH,
    CONF_T_HOST,
    CONF_T_HASH_KEY,
    CONF_T_NAME,
    CONF_T_LOG_TARGET,
    CONF_T_USER,
    CONF_T_SYSTEM_GROUP,
    CONF_T_TOKEN_FILE,
    CONF_T_NUMBER, /* unsigned, of the field's width */
    CONF_T_FACTOR, /* 1.25; thousandths, of the field's width; min and max too; 0: off */
    CONF_T_BOOL,
    CONF_T_DURATION, /* milliseconds, uint32_t */
    CONF_T_SIZE,     /* bytes, of the field's width */
    CONF_T_ENUM,     /* index into names */
    CONF_T_CHOICE,   /* one of names, kept as a string */
    CONF_T_WORKERS,
    CONF_T_BINDS,
    CONF_T_CIDRS,
    CONF_T_EXPECT,
    CONF_T_BYTES, /* struct conf_bytes */
    CONF_T_PAIRS, /* struct conf_pair and a count */
    CONF_T_CA_FILE,
    CONF_T_RESOLVERS,
    CONF_T_HEALTH,   /* of one backend: NULL or a section of its own */
    CONF_T_FAILURES, /* struct conf_failures */
    CONF_T_PERCENT,
    CONF_T_STICKY,  /* likewise */
    CONF_T_BREAKER, /* a group behind a pointer; NULL: off */
    CONF_T_POOL,    /* name of a pool, kept as its index */
    CONF_T_ADDRESS, /* of a backend; resolved */
    CONF_T_ADMIN,   /* a group, or "off" */
    CONF_T_DEFAULTS,
    CONF_T_LISTENERS,
    CONF_T_POOLS,
    CONF_T_BACKENDS,
    CONF_T_RATE,     /* how many in how long */
    CONF_T_RATE_KEY, /* what a limit counts by */
    CONF_T_RATE_LIMITS,
    CONF_T_SNI,
    CONF_T_SNI_HOST,
    CONF_T_SNI_ALPN,
    CONF_T_HOSTS,
    CONF_T_PATHS,
    CONF_T_REGEX,
    CONF_T_METHODS,
    CONF_T_NAMES,
    CONF_T_NAMED,        /* names, with or without a value */
    CONF_T_NAMED_FIELDS, /* the same, the name a token */
    CONF_T_FIELDS,       /* header fields, with values */
    CONF_T_FIELD_NAMES,  /* header fields, by name */
    CONF_T_FIELD_VALUE,
    CONF_T_TEXT, /* may have several lines */
    CONF_T_PAGE,
    CONF_T_STATUSES,
    CONF_T_AUTH,
    CONF_T_HTPASSWD,
    CONF_T_JWKS,
    CONF_T_JWT_SECRET,
    CONF_T_JWT_ALGORITHMS,
    CONF_T_CONDITIONS,
    CONF_T_ROUTES,
    CONF_T_SPLIT,
    CONF_T_ERROR_PAGES,
    CONF_T_TLS, /* a group behind a pointer; NULL: not there */
    CONF_T_POOL_TLS,
    CONF_T_CERTIFICATES,
    CONF_T_ALPN,
    CONF_T_ACCESS_LOG, /* a group, or "off" */
    CONF_T_ACCESS_TARGET,
    CONF_T_COMPRESSION, /* a group behind a pointer, or "off" */
    CONF_T_CODINGS,
    CONF_T_MEDIA_TYPES,
    CONF_T_CACHE, /* a group behind a pointer, or "off" */
    CONF_T_CACHE_VALID,
    CONF_T_COUNT
};

enum conf_row_flags {
    CONF_REQUIRED = 1,
    CONF_DERIVED =
        2,        /* the default depends on other settings; `fallback` is only what the docs say */
    CONF_OWN = 4, /* of one object: not to be set in `defaults` */
    CONF_HTTP_ONLY = 8, /* not in a listener of protocol tcp */
    CONF_OMIT = 16,     /* no default: left out of what is shown while it was not said */
};

/* What a listener is; 0: not a listener. */
enum conf_kind {
    CONF_KIND_HTTP = 1,
    CONF_KIND_TCP = 2,
    CONF_KIND_PROXY = 4, /* reads a PROXY header */
    CONF_KIND_SNI = 8,   /* reads a ClientHello */
    CONF_KIND_UDP = 16,
};

struct conf_section;
struct walk;

struct conf_row {
    const char *name;
    enum conf_type_id type;
    unsigned flags;
    uint32_t offset, width;   /* of the field in the section's struct, in bytes */
    unsigned needs;           /* enum conf_kind: the listener must be one of these; 0: any */
    const char *fallback;     /* default, as written without its quotes; NULL: none */
    uint64_t min, max;        /* bounds: numbers, milliseconds or bytes; strings: length */
    const char *const *names; /* enum and choice: what there is, NULL-terminated */
    const char *const *later; /* enum and choice: what a future version knows */
    const struct conf_section *section; /* of what is nested here */
    uint32_t kinds;   /* of the section's kinds (struct conf_kinds), those that have it; 0: all */
    const char *also; /* names other systems give it, for hints; separated by spaces */
    const char *help;
};

struct conf_section {
    const char *path;            /* "pools.*.health"; "" is the top */
    const struct conf_row *rows; /* ends with name NULL */
    const char *help;
};

/* A section in which one setting decides which of the others mean anything. */
struct conf_kinds {
    const struct conf_section *section;
    uint32_t (*kind)(const void *base); /* the bit of what this one is */
    /* Told of each setting that stands in a file, `defaults` excepted. */
    void (*said)(struct walk *w, void *base, const struct conf_row *row, struct conf_pos pos);
};
/* NULL: all rows of the section always mean something. */
const struct conf_kinds *rows_kinds(const struct conf_section *section);
/* Does this row mean something in this object? */
bool rows_apply(const struct conf_section *section, const struct conf_row *row, const void *base);

extern const struct conf_section conf_section_top;
/* rows_health.c */
extern const struct conf_kinds conf_kinds_health;
/* rows_listener.c */
extern const struct conf_section conf_section_listener, conf_section_listener_timeouts,
    conf_section_limits, conf_section_sni;
/* rows_pool.c */
extern const struct conf_section conf_section_retry, conf_section_passive, conf_section_breaker,
    conf_section_queue, conf_section_sticky;
extern const struct conf_section conf_section_pool, conf_section_pool_timeouts, conf_section_health,
    conf_section_backend;

/* rows_compress.c */
extern const struct conf_section conf_section_compression;
/* rows_access.c */
extern const struct conf_section conf_section_access_log;
/* rows_rate.c */
extern const struct conf_section conf_section_rate_limit;
/* rows_cache.c */
extern const struct conf_section conf_section_cache_store, conf_section_cache;
/* rows_route.c */
extern const struct conf_section conf_section_condition, conf_section_route, conf_section_split,
    conf_section_route_timeouts, conf_section_request_headers, conf_section_response_headers,
    conf_section_error_page;
/* rows_auth.c */
extern const struct conf_section conf_section_auth, conf_section_jwt, conf_section_auth_request;
/* rows_tls.c */
extern const struct conf_section conf_section_tls, conf_section_certificate, conf_section_pool_tls;

/* All sections, in the order of the documentation; NULL-terminated. */
extern const struct conf_section *const conf_sections[];

/* The row of this name, or NULL. */
const struct conf_row *rows_find(const struct conf_section *section, const char *name);

/* Does the option mean something in a listener of this kind? */
bool rows_fit(const struct conf_row *row, unsigned kind);

/* Names of the balancing algorithms that exist, NULL-terminated: the configuration layer cannot see
 * worker/lb, so the names stand here and a unit test of worker/lb holds both lists equal. */
extern const char *const conf_algorithms[];
/* What an algorithm means to other settings of the pool. */
bool conf_algorithm_hashes(const char *name); /* a key decides */
bool conf_algorithm_weighs(const char *name); /* shares go by weight or load */

#endif
