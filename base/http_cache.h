/*
 * base/http_cache.h: what RFC 9111 (HTTP caching) and RFC 5861 (stale-while-revalidate,
 * stale-if-error) say to a shared cache about one request and one response, as pure functions. Who
 * calls gathers the fields, and keeps what may be kept.
 *
 * Where the RFC leaves a choice: nothing is fresh by guesswork (no heuristic of 4.2.2): a response
 * says how long, or the configuration does for its status. One that sets a cookie is not kept, as
 * nginx does it. `private` and `no-cache` with field names count as without. What cannot be
 * understood counts as the strictest that it can mean.
 */
#ifndef BALLAST_BASE_HTTP_CACHE_H
#define BALLAST_BASE_HTTP_CACHE_H

#include "base/base.h"

#define HTTP_CACHE_NONE UINT32_MAX  /* a time that was not said */
#define HTTP_CACHE_MOST 2147483648u /* seconds; RFC 9111 1.2.2 */

struct http_cache_control {
    bool no_store, no_cache, private_, public_, must_revalidate, must_understand, only_if_cached;
    /* seconds; HTTP_CACHE_NONE: not said */
    uint32_t max_age, s_maxage, min_fresh, max_stale, while_revalidate, if_error;
};

/* Nothing said. */
void http_cache_control_init(struct http_cache_control *c);
/* Adds what one Cache-Control field says. */
void http_cache_control_add(struct http_cache_control *c, const char *value, size_t len);

/* A response, and what of its request matters. Times are seconds of wall time. */
struct http_cache_facts {
    struct http_cache_control control;
    unsigned status;
    bool authorized;       /* the request had Authorization */
    bool request_no_store; /* ... Cache-Control: no-store */
    bool sets_cookie, has_validator, vary_any;
    bool has_expires, has_date;
    int64_t expires_s, date_s; /* an Expires that is no date: 0 */
    uint32_t age_s;            /* what Age says; 0 */
    uint32_t delay_s;          /* from the request to the response */
    int64_t now_s;
    uint32_t valid_s;                    /* configured for this status; HTTP_CACHE_NONE: nothing */
    uint32_t while_revalidate, if_error; /* configured, for responses that do not say */
};

struct http_cache_verdict {
    bool store;
    bool must_revalidate; /* never served stale */
    uint32_t age_s, fresh_s;
    uint32_t while_revalidate, if_error; /* seconds beyond freshness */
};

/* May it be kept (RFC 9111 3), and for how long (4.2)? */
void http_cache_judge(const struct http_cache_facts *f, struct http_cache_verdict *v);

/* May a response of this age, kept with this lifetime, answer a request that says so (RFC 9111
 * 5.2.1)? All in seconds. `max-age=0` asks for a new one, however young this one is. */
bool http_cache_fresh_for(const struct http_cache_control *request, uint64_t age, uint64_t fresh,
                          bool must_revalidate);

/* Is one of the entity tags of an If-None-Match equal to this, by the weak comparison (RFC 9110
 * 8.8.3.2, 13.1.2)? */
bool http_cache_etag_matches(const char *list, size_t list_len, const char *etag, size_t len);

/* Calls each with every member of a list of names (Vary, Connection). False as soon as it does. */
bool http_cache_each_name(const char *list, size_t len,
                          bool (*each)(void *arg, const char *name, size_t len), void *arg);

/* "bytes=0-99" (RFC 9110 14.1.2) of a body of so many bytes. */
enum http_cache_range { HTTP_RANGE_IGNORE, HTTP_RANGE_OK, HTTP_RANGE_OUTSIDE };
enum http_cache_range http_cache_range(const char *value, size_t len, uint64_t body_bytes,
                                       uint64_t *first, uint64_t *count);

#endif
