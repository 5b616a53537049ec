/* What may be said about the response cache. */
#include "conf/rows_define.h"
#include "shm/layout.h"

PAIR(struct conf_cache, valid, valid_count);

static const struct conf_row store_rows[] = {
    {.name = "size",
     .type = CONF_T_SIZE,
     FIELD(struct conf_cache_store, size_bytes),
     .fallback = "64m",
     .min = 1024 * KIB,
     .max = (uint64_t)CACHE_BLOCKS_MAX * CACHE_BLOCK_BYTES,
     .also = "max_size memory total_max_size keys_zone",
     .help =
         "Shared memory for all responses that are kept, taken as soon as a route or a pool asks "
         "for it (and 4% and 1 MB more, to find them). What was not asked for longest makes way. A "
         "reload "
         "that changes it may forget what is kept; less gives memory back only at a restart"},
    {.name = "object_size",
     .type = CONF_T_SIZE,
     FIELD(struct conf_cache_store, object_bytes),
     .fallback = "1m",
     .min = 1,
     .max = 1024 * 1024 * KIB,
     .also = "max_object_size max_file_size",
     .help =
         "Longest body that is kept; at most an eighth of `size`. Longer ones only pass through"},
    END};
const struct conf_section conf_section_cache_store = {
    "cache", store_rows,
    "The room of the response cache, shared by all workers. What is kept is said by `cache` of "
    "routes and pools, see [cache](cache.md)."};

static const char *const headers[] = {[CONF_CACHE_HEADER_X_CACHE] = "x-cache",
                                      [CONF_CACHE_HEADER_STATUS] = "cache-status",
                                      [CONF_CACHE_HEADER_OFF] = "off",
                                      NULL};

static const struct conf_row cache_rows[] = {
    {.name = "valid",
     .type = CONF_T_CACHE_VALID,
     FIELD(struct conf_cache, valid),
     .fallback = "",
     .also = "proxy_cache_valid ttl default_ttl",
     .help = "How long responses are fresh that do not say so themselves: `[ \"200 1d\", \"301-302 "
             "404 1m\", \"any 5s\" ]`, the first that fits. Without it only what backends declare "
             "fresh (`Cache-Control`, `Expires`) is kept"},
    {.name = "stale_if_error",
     .type = CONF_T_DURATION,
     FIELD(struct conf_cache, if_error_ms),
     .fallback = "0s",
     .max = DURATION_MAX,
     .also = "proxy_cache_use_stale grace",
     .help = "For so long after it ceased to be fresh a response stands in when the backend cannot "
             "be asked, or answers 500, 502, 503 or 504; where a response does not say "
             "`stale-if-error` itself. Never with `must-revalidate`, `no-cache` or `s-maxage`"},
    {.name = "stale_while_revalidate",
     .type = CONF_T_DURATION,
     FIELD(struct conf_cache, while_revalidate_ms),
     .fallback = "0s",
     .max = DURATION_MAX,
     .also = "proxy_cache_background_update updating",
     .help = "For so long after it ceased to be fresh a response is served at once and fetched "
             "anew behind that, by a request of the balancer's own; where a response does not say "
             "`stale-while-revalidate` itself"},
    {.name = "wait",
     .type = CONF_T_DURATION,
     FIELD(struct conf_cache, wait_ms),
     .fallback = "5s",
     .max = HOUR,
     .also = "proxy_cache_lock proxy_cache_lock_timeout lock_timeout coalesce",
     .help =
         "One request fetches, the others for the same wait for its response, over all workers; "
         "after so long they ask the backend themselves. `\"0s\"`: nobody waits"},
    {.name = "client_control",
     .type = CONF_T_BOOL,
     FIELD(struct conf_cache, client_control),
     .fallback = "true",
     .also = "ignore_client_control",
     .help = "Clients may ask for a response from the backend (`Cache-Control: no-cache`, "
             "`max-age=0`, `no-store`, `Pragma`). `false`: what they say does not matter"},
    {.name = "header",
     .type = CONF_T_ENUM,
     FIELD(struct conf_cache, header),
     .fallback = "x-cache",
     .names = headers,
     .also = "status_header",
     .help = "How clients are told what happened: `X-Cache: HIT` (`MISS`, `STALE`, `REVALIDATED`, "
             "`BYPASS`), `Cache-Status` (RFC 9211), or not at all"},
    END};
const struct conf_section conf_section_cache = {
    "pools.*.cache", cache_rows,
    "Which responses are kept and for how long; also in `routes`, where it holds instead of the "
    "pool's. `{ }` keeps what backends declare fresh, `\"off\"` nothing. Of the rules of RFC 9111 "
    "those for shared caches hold; see [cache](cache.md)."};
