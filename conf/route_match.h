/*
 * conf/route_match.h: which route a request takes. Pure over the compiled tables (conf/route.h), a
 * parsed head and a process's regular expressions; for workers, `ballast explain` and tests.
 *
 * A path is matched in both its readings (base/uri_path.h). Where they lead to different routes, or
 * a reading is refused, so is the request: whoever writes `%2e%2e/`, `//` or `;x` into a path
 * cannot be led past a rule by a backend that reads it otherwise.
 */
#ifndef BALLAST_CONF_ROUTE_MATCH_H
#define BALLAST_CONF_ROUTE_MATCH_H

#include "base/http1.h"
#include "base/uri_path.h"
#include "conf/regex.h"
#include "conf/route.h"
#include "conf/route_memo.h"

struct route_request {
    const struct http1_head *head;
    const char *base;              /* what the head's spans are offsets into */
    const struct net_addr *client; /* NULL: in no network */
    const struct regex_set *regexes;
    char *scratch;           /* 3 times the length of the path */
    struct route_memo *memo; /* of this configuration; NULL: none */
};

struct route_match {
    const struct conf_route *route;
    const struct route_entry *entry;
    struct uri_path path; /* literal is what the spans below are of */
    uint32_t capture_count;
    struct http1_span captures[REGEX_GROUPS];
};

enum route_result { ROUTE_NONE, ROUTE_FOUND, ROUTE_REFUSED };
/* ROUTE_NONE: m->path is set all the same. ROUTE_REFUSED: answer 400. */
enum route_result route_match(const struct conf_routes *routes, const struct route_request *q,
                              struct route_match *m) MUST_CHECK;

#endif
