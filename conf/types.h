/*
 * conf/types.h: one row per kind of value: its name in the docs, how it is read from a node and how
 * it is written out.
 */
#ifndef BALLAST_CONF_TYPES_H
#define BALLAST_CONF_TYPES_H

#include "conf/out.h"
#include "conf/walk.h"

typedef void conf_read_fn(struct walk *w, const struct conf_row *row, const struct node *n,
                          const struct walk_at *at, void *field);
typedef void conf_write_fn(struct out *o, const struct conf_row *row, const void *field);

struct conf_type {
    const char *doc;        /* NULL: not a value of its own (a group, a later feature) */
    enum node_kind literal; /* how a row's default is spelled */
    conf_read_fn *read;
    conf_write_fn *write; /* NULL: nothing to write */
};

extern const struct conf_type conf_types[CONF_T_COUNT];

/* An array in a struct: the pointer, then its count (rows.c holds that it is so). */
struct types_list {
    void *items;
    uint32_t count;
};

/* Numbers of a field's width. */
uint64_t types_get(const void *field, uint32_t width);
void types_set(void *field, uint32_t width, uint64_t value);

/* conf/strings.c */
conf_read_fn value_read_string, value_read_path, value_read_uri_path, value_read_host,
    value_read_hash_key, value_read_rate_key, value_read_name, value_read_log_target,
    value_read_user, value_read_system_group, value_read_token_file;
/* conf/values.c */
conf_read_fn value_read_number, value_read_factor, value_read_bool, value_read_duration,
    value_read_size, value_read_enum, value_read_choice, value_read_workers;
/* conf/lists.c */
conf_read_fn value_read_binds, value_read_cidrs, value_read_expect;
/* conf/bytes.c */
conf_read_fn value_read_bytes, value_read_pairs, value_read_ca_file;
conf_write_fn write_bytes, write_pairs;
/* conf/cache.c */
conf_read_fn value_read_cache_valid, object_read_cache;
conf_write_fn write_cache_valid, write_cache;
/* conf/resolve.c */
conf_read_fn value_read_resolvers;
conf_write_fn write_resolvers;
/* The address of a backend that is a name: "name:8080", "srv:_http._tcp.name". */
void resolve_read_name(struct walk *w, const struct node *n, const struct walk_at *at,
                       struct conf_backend *b);
/* Escapes (\r \n \t \xHH \\) become bytes; returns NULL, or what is wrong with it. */
const char *bytes_decode(struct arena *arena, const char *text, struct conf_bytes *out) MUST_CHECK;
/* conf/health.c */
conf_read_fn health_read_override;
conf_write_fn health_write_override;
/* conf/policy.c */
conf_read_fn value_read_failures, value_read_percent, object_read_breaker, object_read_sticky;
conf_write_fn write_failures, write_percent, write_breaker;
/* conf/objects.c */
conf_read_fn object_read_admin, object_read_defaults, object_read_listeners, object_read_pools,
    object_read_backends, object_read_pool, object_read_address;
/* conf/sni.c */
conf_read_fn object_read_sni, value_read_sni_host, value_read_sni_alpn;
conf_write_fn write_sni, write_sni_alpn;
/* conf/objects.c: enum conf_kind */
unsigned types_listener_kind(const struct conf_listener *l);
/* conf/access_log.c */
conf_read_fn access_read_log, access_read_target;
conf_write_fn access_write_log;
void access_resolve(struct conf_listener *l); /* what "auto" is here */
/* conf/compress.c */
conf_read_fn compress_read, value_read_codings, value_read_media_types;
conf_write_fn compress_write;
/* conf/rate_limit.c */
conf_read_fn rate_read_rate, rate_read_limits;
conf_write_fn rate_write_rate, rate_write_limits;
/* conf/route_values.c */
conf_read_fn value_read_hosts, value_read_paths, value_read_regex, value_read_methods,
    value_read_names, value_read_named, value_read_named_fields, value_read_fields,
    value_read_field_names, value_read_field_value, value_read_text, value_read_page,
    value_read_statuses;
/* conf/route_read.c */
conf_read_fn route_read_conditions, route_read_routes, route_read_split, route_read_pages;
/* conf/route_write.c */
conf_write_fn write_strings, write_named, write_conditions, write_routes, write_split,
    write_error_pages, write_statuses;

/* conf/auth_read.c, conf/auth_users.c, conf/auth_keys.c */
conf_read_fn auth_read, value_read_htpasswd, value_read_jwks, value_read_jwt_secret,
    value_read_jwt_algorithms;
conf_write_fn auth_write;
/* The contents of the file that n names, in the configuration's arena, or NULL after a complaint.
 */
char *types_read_secret(struct walk *w, const struct conf_row *row, const struct node *n,
                        const struct walk_at *at, void *field, size_t max, size_t *len) MUST_CHECK;

/* The string that n is, without control characters and min to max bytes long, or NULL after a
 * complaint. conf/strings.c */
const char *value_string(struct walk *w, const struct node *n, const struct walk_at *at,
                         uint32_t min, uint32_t max) MUST_CHECK;

/* conf/tls_read.c, conf/tls_pool.c */
conf_read_fn object_read_tls, object_read_pool_tls, object_read_certificates, value_read_alpn;
/* conf/write.c */
conf_write_fn write_string, write_number, write_factor, write_bool, write_duration, write_size,
    write_enum, write_workers, write_binds, write_cidrs, write_expect, write_pool, write_group,
    write_admin, write_listeners, write_pools, write_backends, write_optional, write_certificates,
    write_texts;

#endif
