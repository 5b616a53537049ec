/*
 * conf/route.h: routes as a listener has them: as written (rows_route.c), and compiled at load so
 * that matching costs the same with ten routes and with ten thousand.
 *
 * Who comes first is decided at load: every pattern of every route (host x path) is an entry with a
 * rank, 0 first: higher priority; exact host, longer wildcard, any host; exact path, regular
 * expression, longer path; more conditions; earlier in the file. Per listener a hash table leads
 * from the host to a radix tree of path prefixes; a node holds its entries by rank.
 *
 * What stands in the configuration's arena is immutable and shared by all processes. Strings that
 * were not set are NULL here.
 */
#ifndef BALLAST_CONF_ROUTE_H
#define BALLAST_CONF_ROUTE_H

#include "conf/conf.h"
#include "conf/template.h"

#define ROUTE_CAPTURES 9u /* $1 to $9 */

/* What a request must be like: a route's own conditions, or a named one. */
struct conf_match {
    const char **hosts; /* lower case; "*.x": below x */
    uint32_t host_count;
    const char **paths; /* as written: "/prefix", "=/exact", "/glob/...*" */
    uint32_t path_count;
    const char *path_regex;
    uint32_t regex; /* index into conf.regexes, INDEX_NONE: none */
    const char **methods;
    uint32_t method_count;
    struct conf_named *headers;
    uint32_t header_count;
    struct conf_named *query;
    uint32_t query_count;
    struct conf_named *cookies;
    uint32_t cookie_count;
    struct net_cidr *client;
    uint32_t client_count;
};

struct conf_condition {
    const char *name;
    struct conf_match match;
    struct conf_pos pos;
};

struct conf_split {
    uint32_t pool;
    uint32_t weight;
    struct conf_pos pos;
};

/* A field name that is not passed on. */
struct conf_drop {
    const char *name; /* lower case */
    uint32_t len;
};

/* The same, compiled: a listener's and then a route's. NULL where there are none. */
struct conf_edits {
    uint64_t drop_ids;       /* bit per enum http1_header_id; never bit 0 */
    uint64_t drop_lens;      /* bit (length & 63) per name of `drops` */
    struct conf_drop *drops; /* names without an id of their own */
    uint32_t drop_count;
    struct conf_template block;  /* "Name: value\r\n" for each field set or added */
    struct conf_template always; /* the same, for error replies of our own */
};

struct conf_error_page {
    struct conf_status_range *statuses;
    uint32_t status_count;
    const char *file;
    const char *content_type;
    const char *body; /* the file's contents */
    uint32_t body_len;
    struct conf_pos pos;
};

/* 0: as the listener or the pool says. */
struct conf_route_timeouts {
    uint32_t total_ms; /* from the request's head to the end of the answer */
    uint32_t body_ms, idle_ms;
    uint32_t connect_ms, send_ms, read_ms;
};

struct conf_route {
    /* What each request looks at stands together. Exactly one of: */
    uint32_t pool;    /* INDEX_NONE: none */
    uint32_t respond; /* a status; 0: none */
    struct conf_split *split;
    uint32_t split_count;
    uint32_t mirror; /* pool, beside what is done; INDEX_NONE: none */
    const char *redirect;
    /* and how */
    const char *rewrite;
    const struct conf_edits *request_edits, *response_edits;
    const struct conf_auth *guard;           /* the one that holds; NULL: none */
    const struct conf_compression *compress; /* the one that holds; NULL: none */
    struct conf_cache *cache;                /* NULL: as the pool says */
    struct conf_rate_limit *rate_limits;
    uint32_t rate_limit_count;
    uint32_t page_count;
    bool strip_prefix;
    bool says_vary; /* `response_headers` write a Vary that names Accept-Encoding */
    struct conf_networks networks;
    struct conf_route_timeouts timeouts;
    /* Who takes it */
    struct conf_match match;
    const char **when; /* names of conditions that must hold */
    uint32_t when_count;
    const char **unless; /* and that must not */
    uint32_t unless_count;
    const struct conf_condition **when_of, **unless_of; /* resolved */
    uint32_t priority;
    /* The rest of what stands above */
    uint32_t split_weight; /* of all */
    const char *split_key; /* NULL: each request anew */
    uint32_t status;       /* of redirect */
    struct conf_template location;
    const char *body, *content_type; /* of respond */
    struct conf_template rewrite_to;
    struct conf_headers request_headers, response_headers;
    struct conf_auth *auth;               /* as written; NULL: as the listener says */
    struct conf_compression *compression; /* as written; NULL: as the listener says */
    struct conf_error_page *error_pages;
    uint32_t error_page_count;
    const struct conf_error_page **pages; /* these, then the listener's */
    uint32_t index;                       /* in the listener, as written */
    struct conf_pos pos;
};

/* One host and path of a route. */
struct route_entry {
    const struct conf_route *route;
    const char *path; /* as the radix tree has it: the part without wildcards */
    const char *glob; /* NULL, or the whole pattern */
    const char *host; /* NULL: any; "*.x": below x */
    uint32_t path_len;
    uint32_t rank;
    bool exact;   /* nothing may follow */
    bool segment; /* what follows begins with '/' */
    bool plain;   /* nothing else to look at */
};

struct route_node {
    const char *label;              /* what leads here from the parent */
    uint32_t label_len, depth;      /* depth: bytes from the root, label included */
    const struct route_node *above; /* the nearest ancestor with prefixes */
    uint32_t best_above;            /* the best rank of prefixes here and above */
    uint32_t prefix_count, exact_count, child_count;
    const struct route_entry *const *prefixes, *const *exacts; /* by rank */
    const uint8_t *firsts; /* first byte of each child's label, ascending */
    const struct route_node *children;
};

struct route_host {
    uint64_t hash;
    const char *name; /* without "*." */
    uint32_t name_len;
    const struct route_node *exact;    /* for this very name; NULL: none */
    const struct route_node *wildcard; /* for names below it; NULL: none */
};

struct conf_routes {
    struct conf_route *items; /* as written */
    uint32_t count;
    bool asks_client, asks_host;       /* some condition is about the client's address, the host */
    const struct route_node *any_host; /* NULL: none */
    const struct route_host *hosts;    /* open addressing; name NULL: free */
    uint32_t host_mask;                /* slots - 1; 0 with hosts NULL: none */
    uint64_t wildcard_labels;          /* bit n: there is a wildcard of n labels; 63: of more */
    const struct route_entry *const *by_rank;
    uint32_t entry_count;
};

struct conf_regex {
    const char *pattern;
    uint32_t captures;
};

/* conf/route_compile.c: everything of a listener's routes that is computed at load. */
struct walk;
void route_compile(struct walk *w, struct conf_listener *l);
/* conf/route_index.c */
void route_index(struct walk *w, struct conf_routes *routes);
/* conf/route_edits.c: fields that frame or address a message, and are nobody's to edit. */
bool route_frames_message(const char *name);
/* conf/route_edits.c: compiles header edits, one group after the other; NULL: there are none. */
const struct conf_edits *route_edits(struct walk *w, const struct conf_headers *const *groups,
                                     uint32_t count, bool request);
/* conf/route_shadow.c: complains about routes that can never match. */
void route_shadows(struct walk *w, const struct conf_routes *routes);
/* conf/route_read.c: "https://{host}{uri}" */
void route_https(struct arena *arena, struct conf_template *t);

#endif
