/* What routes, named conditions, header edits and error pages may say. */
#include "conf/route.h"
#include "conf/rows_define.h"

PAIR(struct conf_match, hosts, host_count);
PAIR(struct conf_match, paths, path_count);
PAIR(struct conf_match, methods, method_count);
PAIR(struct conf_match, headers, header_count);
PAIR(struct conf_match, query, query_count);
PAIR(struct conf_match, cookies, cookie_count);
PAIR(struct conf_match, client, client_count);
PAIR(struct conf_headers, set, set_count);
PAIR(struct conf_headers, add, add_count);
PAIR(struct conf_headers, remove, remove_count);
PAIR(struct conf_route, when, when_count);
PAIR(struct conf_route, unless, unless_count);
PAIR(struct conf_route, split, split_count);
PAIR(struct conf_route, error_pages, error_page_count);
PAIR(struct conf_route, rate_limits, rate_limit_count);
PAIR(struct conf_error_page, statuses, status_count);
PAIR(struct conf_networks, allow, allow_count);
PAIR(struct conf_networks, deny, deny_count);

#define MATCH_ROWS(type_)                                                                          \
    {.name = "host",                                                                               \
     .type = CONF_T_HOSTS,                                                                         \
     .flags = CONF_OMIT,                                                                           \
     FIELD(type_, match.hosts),                                                                    \
     .also = "hosts server_name hostname",                                                         \
     .help = "Host name without port, `*.example.com` for every name below it, or a list; any "    \
             "case"},                                                                              \
        {.name = "path",                                                                           \
         .type = CONF_T_PATHS,                                                                     \
         .flags = CONF_OMIT,                                                                       \
         FIELD(type_, match.paths),                                                                \
         .also = "paths path_prefix prefix path_beg location uri",                                 \
         .help = "`/api/` or `/api`: it and what is below it; `=/x`: exactly; with `*` in it: a "  \
                 "pattern, `*` is any text, slashes included; or a list"},                         \
        {.name = "path_regex",                                                                     \
         .type = CONF_T_REGEX,                                                                     \
         .flags = CONF_OMIT,                                                                       \
         FIELD(type_, match.path_regex),                                                           \
         .max = 1024,                                                                              \
         .also = "regex path_reg",                                                                 \
         .help = "Regular expression (PCRE2) found anywhere in the decoded path: begin it with "   \
                 "`^`. A match that takes too many steps is refused with 400"},                    \
        {.name = "methods",                                                                        \
         .type = CONF_T_METHODS,                                                                   \
         .flags = CONF_OMIT,                                                                       \
         FIELD(type_, match.methods),                                                              \
         .also = "method",                                                                         \
         .help = "One of these methods, such as `[ \"GET\", \"HEAD\" ]`"},                         \
        {.name = "headers",                                                                        \
         .type = CONF_T_NAMED_FIELDS,                                                              \
         .flags = CONF_OMIT,                                                                       \
         FIELD(type_, match.headers),                                                              \
         .also = "header",                                                                         \
         .help =                                                                                   \
             "Each of these fields has this value: `( ( \"X-Beta\", \"1\" ) )`; a name alone: "    \
             "it is there"},                                                                       \
        {.name = "query",                                                                          \
         .type = CONF_T_NAMED,                                                                     \
         .flags = CONF_OMIT,                                                                       \
         FIELD(type_, match.query),                                                                \
         .also = "query_params args",                                                              \
         .help =                                                                                   \
             "The same for parameters of the query, decoded: `( ( \"v\", \"2\" ), \"debug\" )`"},  \
        {.name = "cookies",                                                                        \
         .type = CONF_T_NAMED_FIELDS,                                                              \
         .flags = CONF_OMIT,                                                                       \
         FIELD(type_, match.cookies),                                                              \
         .also = "cookie",                                                                         \
         .help = "The same for cookies"},                                                          \
    {                                                                                              \
        .name = "client", .type = CONF_T_CIDRS, .flags = CONF_OMIT, FIELD(type_, match.client),    \
        .also = "src source_ip client_ip",                                                         \
        .help = "The client's address is in one of these networks"                                 \
    }

static const struct conf_row condition_rows[] = {MATCH_ROWS(struct conf_condition), END};
const struct conf_section conf_section_condition = {
    "conditions.*", condition_rows,
    "Conditions by name, for `when` and `unless` of any route. All that is said must hold."};

static const struct conf_row split_rows[] = {
    {.name = "pool",
     .type = CONF_T_POOL,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_split, pool),
     .also = "backend",
     .help = "Where this part goes"},
    {.name = "weight",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_split, weight),
     .fallback = "1",
     .max = 1000000,
     .help = "How large a part, relative to the others; `0`: nothing"},
    END};
const struct conf_section conf_section_split = {
    "listeners.*.routes.split", split_rows,
    "Canaries and A/B tests: `( { pool = \"new\", weight = 5 }, { pool = \"old\", weight = 95 } "
    ")`."};

static const struct conf_row route_timeout_rows[] = {
    {.name = "total",
     .type = CONF_T_DURATION,
     .flags = CONF_OMIT,
     FIELD(struct conf_route_timeouts, total_ms),
     .min = 1,
     .max = DURATION_MAX,
     .also = "request timeout",
     .help =
         "From the request's head to the last byte of the answer, retries included; then 504, or "
         "the connection is cut when the answer has begun. Not for upgraded connections"},
    {.name = "body",
     .type = CONF_T_DURATION,
     .flags = CONF_OMIT,
     FIELD(struct conf_route_timeouts, body_ms),
     .min = 1,
     .max = DURATION_MAX,
     .help = "Instead of the listener's"},
    {.name = "idle",
     .type = CONF_T_DURATION,
     .flags = CONF_OMIT,
     FIELD(struct conf_route_timeouts, idle_ms),
     .min = 1,
     .max = DURATION_MAX,
     .also = "tunnel",
     .help = "Instead of the listener's, for upgraded connections (WebSocket)"},
    {.name = "connect",
     .type = CONF_T_DURATION,
     .flags = CONF_OMIT,
     FIELD(struct conf_route_timeouts, connect_ms),
     .min = 1,
     .max = HOUR,
     .help = "Instead of the pool's"},
    {.name = "send",
     .type = CONF_T_DURATION,
     .flags = CONF_OMIT,
     FIELD(struct conf_route_timeouts, send_ms),
     .min = 1,
     .max = DURATION_MAX,
     .help = "Instead of the pool's"},
    {.name = "read",
     .type = CONF_T_DURATION,
     .flags = CONF_OMIT,
     FIELD(struct conf_route_timeouts, read_ms),
     .min = 1,
     .max = DURATION_MAX,
     .also = "server response",
     .help = "Instead of the pool's"},
    END};
const struct conf_section conf_section_route_timeouts = {
    "listeners.*.routes.timeouts", route_timeout_rows,
    "What is not said stays as the listener and the pool say."};

#define HEADER_ROWS                                                                                \
    {.name = "set",                                                                                \
     .type = CONF_T_FIELDS,                                                                        \
     .flags = CONF_OMIT,                                                                           \
     FIELD(struct conf_headers, set),                                                              \
     .also = "replace",                                                                            \
     .help = "Fields that replace those of the same name: `( ( \"X-Env\", \"prod\" ) )`. Values "  \
             "may use `{client_ip}`, `{host}`, `{authority}`, `{scheme}`, `{method}`, `{uri}`, "   \
             "`{path}`, `{query}`, `{request_id}`; `{{` is a brace"},                              \
        {.name = "add",                                                                            \
         .type = CONF_T_FIELDS,                                                                    \
         .flags = CONF_OMIT,                                                                       \
         FIELD(struct conf_headers, add),                                                          \
         .also = "append add_header",                                                              \
         .help = "Fields beside those that are there"},                                            \
    {                                                                                              \
        .name = "remove", .type = CONF_T_FIELD_NAMES, .flags = CONF_OMIT,                          \
        FIELD(struct conf_headers, remove), .also = "delete hide del unset",                       \
        .help = "Names of fields that are not passed on"                                           \
    }

static const struct conf_row request_header_rows[] = {HEADER_ROWS, END};
const struct conf_section conf_section_request_headers = {
    "request_headers", request_header_rows,
    "Of a listener or a route: what a backend gets to see. A listener's are applied first, then "
    "the route's. `Host` may be set; fields that frame the message may not be touched."};

static const struct conf_row response_header_rows[] = {
    HEADER_ROWS,
    {.name = "always",
     .type = CONF_T_BOOL,
     .flags = CONF_OMIT,
     FIELD(struct conf_headers, always),
     .help = "`true`: `set` and `add` also go on error replies of the balancer itself. Answers of "
             "backends, of `redirect` and of `respond` have them anyway, whatever their status"},
    END};
const struct conf_section conf_section_response_headers = {
    "response_headers", response_header_rows,
    "Of a listener or a route: what a client gets to see. A listener's are applied first, then "
    "the route's."};

static const struct conf_row error_page_rows[] = {
    {.name = "status",
     .type = CONF_T_STATUSES,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_error_page, statuses),
     .also = "code codes",
     .help = "Statuses that it is for: `\"404\"`, `\"500-504\"`, or a list"},
    {.name = "file",
     .type = CONF_T_PAGE,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_error_page, file),
     .also = "path",
     .help = "The body, at most 60 KiB; read when the configuration is loaded"},
    {.name = "content_type",
     .type = CONF_T_FIELD_VALUE,
     FIELD(struct conf_error_page, content_type),
     .fallback = "text/html; charset=utf-8",
     .min = 1,
     .max = 255,
     .help = "Of the file"},
    END};
const struct conf_section conf_section_error_page = {
    "error_pages", error_page_rows,
    "Of a listener or a route: bodies for error replies of the balancer itself. A route's come "
    "first. Answers of backends are passed on as they are."};

static const struct conf_row route_rows[] = {
    MATCH_ROWS(struct conf_route),
    {.name = "when",
     .type = CONF_T_NAMES,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, when),
     .also = "if condition",
     .help = "Names of `conditions` that must all hold"},
    {.name = "unless",
     .type = CONF_T_NAMES,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, unless),
     .also = "not",
     .help = "Names of `conditions` none of which may hold"},
    {.name = "priority",
     .type = CONF_T_NUMBER,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, priority),
     .max = 1000000,
     .also = "order rank",
     .help = "The highest wins, `0` when left out; among equals the most specific"},
    {.name = "pool",
     .type = CONF_T_POOL,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, pool),
     .also = "backend use_backend proxy_pass upstream service",
     .help = "The pool that gets these requests"},
    {.name = "split",
     .type = CONF_T_SPLIT,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, split),
     .section = &conf_section_split,
     .also = "weighted canary split_clients",
     .help = "Several pools, each with its weight"},
    {.name = "split_key",
     .type = CONF_T_HASH_KEY,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, split_key),
     .also = "sticky",
     .help = "What decides which part of a `split` a request belongs to, so that a client stays "
             "where it is; without it each request is drawn anew"},
    {.name = "redirect",
     .type = CONF_T_STRING,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, redirect),
     .min = 1,
     .max = 2048,
     .also = "return location",
     .help = "`https`: the same address with https; or where to, with `{scheme}`, `{host}`, "
             "`{authority}`, `{uri}` (path and query), `{path}`, `{query}`, `{tail}` (of the path, "
             "behind the route's), `$1` to `$9` (groups of `path_regex`)"},
    {.name = "status",
     .type = CONF_T_NUMBER,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, status),
     .min = 301,
     .max = 308,
     .also = "code",
     .help = "Of `redirect`: 301 (when left out), 302, 303, 307 or 308"},
    {.name = "respond",
     .type = CONF_T_NUMBER,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, respond),
     .min = 200,
     .max = 599,
     .also = "return deny fixed_response",
     .help = "Answers with this status, without a backend"},
    {.name = "body",
     .type = CONF_T_TEXT,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, body),
     .max = 4095,
     .help = "Of `respond`; without it an error page, or the usual JSON"},
    {.name = "content_type",
     .type = CONF_T_FIELD_VALUE,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, content_type),
     .min = 1,
     .max = 255,
     .help = "Of `body`: `text/plain; charset=utf-8` when left out"},
    {.name = "rewrite",
     .type = CONF_T_STRING,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, rewrite),
     .min = 1,
     .max = 2048,
     .also = "set_path replace_path",
     .help =
         "The path that the backend gets, with `{tail}`, `{path}`, `{host}` and `$1` to `$9`; the "
         "query stays, behind that of `rewrite` if it has one"},
    {.name = "strip_prefix",
     .type = CONF_T_BOOL,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, strip_prefix),
     .help = "The backend gets the path without the route's: `/api/v1/users` becomes `/users`"},
    {.name = "rate_limit",
     .type = CONF_T_RATE_LIMITS,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, rate_limits),
     .section = &conf_section_rate_limit,
     .also = "limit_req ratelimit stick_table throttle",
     .help = "How often this route may be asked, besides what the listener and the pool say: see "
             "`listeners.*.rate_limit`"},
    {.name = "cache",
     .type = CONF_T_CACHE,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, cache),
     .section = &conf_section_cache,
     .also = "proxy_cache caching",
     .help = "Keeps responses, instead of what the pool says: see `pools.*.cache`. `\"off\"`: "
             "nothing is kept"},
    {.name = "mirror",
     .type = CONF_T_POOL,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, mirror),
     .also = "shadow copy",
     .help = "A pool that gets a copy of each request, over HTTP/1.1. Its answers are dropped; a "
             "request "
             "neither waits nor fails for it. Where the copy of a body falls back by more than the "
             "system and 64 KiB here hold, it is broken off"},
    {.name = "timeouts",
     .type = CONF_T_GROUP,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, timeouts),
     .section = &conf_section_route_timeouts,
     .also = "timeout"},
    {.name = "request_headers",
     .type = CONF_T_GROUP,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, request_headers),
     .section = &conf_section_request_headers,
     .also = "proxy_set_header"},
    {.name = "response_headers",
     .type = CONF_T_GROUP,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, response_headers),
     .section = &conf_section_response_headers,
     .also = "add_header"},
    {.name = "allow",
     .type = CONF_T_CIDRS,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, networks.allow),
     .help = "Only clients in these networks; others get 403. `deny` comes first"},
    {.name = "deny",
     .type = CONF_T_CIDRS,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, networks.deny),
     .also = "block blacklist",
     .help = "Clients in these networks get 403"},
    {.name = "auth",
     .type = CONF_T_AUTH,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, auth),
     .section = &conf_section_auth,
     .also = "auth_basic auth_jwt authentication",
     .help = "Who may ask, see `auth`"},
    {.name = "compression",
     .type = CONF_T_COMPRESSION,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, compression),
     .section = &conf_section_compression,
     .also = "gzip brotli compress",
     .help = "Instead of the listener's, see `compression`"},
    {.name = "error_pages",
     .type = CONF_T_ERROR_PAGES,
     .flags = CONF_OMIT,
     FIELD(struct conf_route, error_pages),
     .section = &conf_section_error_page,
     .also = "error_page errorfile",
     .help = "Bodies for error replies"},
    END};
const struct conf_section conf_section_route = {
    "listeners.*.routes", route_rows,
    "A list of groups. Each has one of `pool`, `split`, `redirect` and `respond`. All conditions "
    "of a "
    "route must hold; of the routes that match, the one with the highest `priority` is taken, then "
    "the most specific one, see [routing](routing.md)."};
