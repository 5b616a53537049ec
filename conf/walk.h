/*
 * conf/walk.h: fills the configuration from a tree, row by row. A node is read into one or more
 * targets (a section and the struct it describes): two for `defaults`, which holds what both
 * listeners and pools may say.
 */
#ifndef BALLAST_CONF_WALK_H
#define BALLAST_CONF_WALK_H

#include "conf/catalog.h"
#include "conf/node.h"
#include "conf/rows.h"

/* What all readers share. */
struct walk {
    struct arena *arena;   /* of the configuration: all that stays */
    struct arena *scratch; /* of the load */
    struct conf_errors *errors;
    const struct conf_error *lexical; /* the last of the pre-lexer's errors, or NULL */
    struct conf *conf;
    const char *dir; /* of the main file: what relative paths start from */
    struct conf_listener listener_defaults;
    struct conf_pool pool_defaults;
    struct conf_backend backend_defaults;
    const struct conf_pool *pool; /* whose backends are being read */
    struct names pools;
    struct names backends; /* scope: index of the pool */
    struct names conditions;
    struct names regexes;         /* indexes into conf.regexes */
    const char *file, *kept_file; /* the last file name that was copied */
    uint32_t backends_left;
    bool resolving; /* the backend being read is a name that is looked up again and again */
    bool in_defaults;
    unsigned kind;             /* enum conf_kind of the listener being read */
    size_t tls_left_bytes;     /* for certificates and keys */
    struct conf_der system_ca; /* read once, when first needed */
    struct catalog files;      /* struct conf_file: those of conf->files */
    const struct conf *former; /* what is loaded again, or NULL */
    struct catalog former_files, former_certificates; /* made when first needed */
};

/* A place in the file, as "pools.app.backends[0]"; built on the stack on the way down. */
struct walk_at {
    const struct walk_at *up;
    const char *name; /* NULL: an element */
    uint32_t index;
};

struct walk_target {
    const struct conf_section *section;
    char *base;
};
#define WALK_TARGETS_MAX 2u

/* Fills every field of a section from the rows' defaults, nested groups included. */
void walk_fill_defaults(struct walk *w, const struct conf_section *section, void *base);
/* Reads a group. n may be of another kind: then it is an error. */
void walk_group(struct walk *w, const struct node *n, const struct walk_at *at,
                const struct walk_target *targets, uint32_t count);
/* Builds w->conf from the root of a file. */
void walk_root(struct walk *w, const struct node *root);

/* What is asked of the system: tests and the fuzzer put answers of their own here. */
struct walk_system {
    /* net_addr_resolve: for the host names of backends */
    int (*resolve)(const char *text, struct net_addr *out, char *why, size_t why_cap);
    /* Is there no such user, although it would be needed? Only root can become somebody else. */
    bool (*user_missing)(const char *name);
};
extern struct walk_system walk_system;

/* Writes "pools.app.backends[0]"; returns its length. */
size_t walk_path(const struct walk_at *at, char *out, size_t cap);
/* "pools.app.balance: text", unless the pre-lexer complained about that line already. at may be
 * NULL. */
void walk_error(struct walk *w, struct conf_pos pos, const struct walk_at *at, const char *fmt, ...)
    PRINTF(4, 5);
/* "wants X, found Y" */
void walk_error_kind(struct walk *w, const struct node *n, const struct walk_at *at,
                     const char *wanted);
/* A position whose file name lives in the configuration's arena. */
struct conf_pos walk_keep_pos(struct walk *w, struct conf_pos pos);
/* ', did you mean "x"?' or "". */
const char *walk_hint(struct walk *w, const char *best);
/* The elements of a value that may be one or a list of them. */
uint32_t walk_elements(const struct node *n, const struct node **first);

#endif
