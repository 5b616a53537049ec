/* What a rate limit may say. */
#include "conf/rows_define.h"

static const char *const algorithms[] = {[RATE_TOKEN_BUCKET] = "token_bucket",
                                         [RATE_SLIDING_WINDOW] = "sliding_window",
                                         [RATE_LEAKY_BUCKET] = "leaky_bucket",
                                         NULL};

static const struct conf_row rate_rows[] = {
    {.name = "algorithm",
     .type = CONF_T_ENUM,
     FIELD(struct conf_rate_limit, algorithm),
     .fallback = "token_bucket",
     .names = algorithms,
     .also = "type kind",
     .help =
         "`token_bucket` allows bursts, `sliding_window` never more than `rate` in any period of "
         "that length, `leaky_bucket` lets requests wait for their turn"},
    {.name = "rate",
     .type = CONF_T_RATE,
     .flags = CONF_DERIVED,
     FIELD(struct conf_rate_limit, rate),
     .fallback = "token_bucket: 10/s; sliding_window: 50/60s; leaky_bucket: 5/s",
     .also = "limit requests average",
     .help = "How many in how long: `100/s`, `50/60s`, `10/m`, `1000/1h`"},
    {.name = "burst",
     .type = CONF_T_NUMBER,
     .flags = CONF_DERIVED,
     FIELD(struct conf_rate_limit, burst),
     .fallback = "what `rate` counts; without `rate`: 100",
     .min = 1,
     .max = RATE_COUNT_MAX,
     .help =
         "How many at once: the depth of a token bucket, the requests that wait in a leaky one. "
         "Not for sliding_window"},
    {.name = "key",
     .type = CONF_T_RATE_KEY,
     FIELD(struct conf_rate_limit, key),
     .fallback = "client_ip",
     .also = "by per",
     .help =
         "What is counted by itself: `client_ip` (an IPv6 network of 64 bits counts as one "
         "client), `global` (all requests together), or a part of the request. A request without "
         "that header or cookie, and tcp, goes by the client's address"},
    {.name = "entries",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_rate_limit, entries),
     .fallback = "100000",
     .min = 1,
     .max = 4000000,
     .also = "size zone table",
     .help = "How many keys are remembered at a time, in shared memory (24 bytes each, "
             "sliding_window up to 192); beyond, those that used least are forgotten first"},
    {.name = "headers",
     .type = CONF_T_BOOL,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_rate_limit, headers),
     .fallback = "false",
     .help = "Tell every client, not only those who are refused, what is left: `RateLimit-Limit`, "
             "`RateLimit-Remaining` and `RateLimit-Reset` (seconds)"},
    END};
const struct conf_section conf_section_rate_limit = {
    "listeners.*.rate_limit", rate_rows,
    "How often; also in `pools.*` and `routes`. One group, or a list of groups that all apply. "
    "What is too much "
    "is answered with 429 and `Retry-After` (tcp: closed). Exact over all workers. Counts go on "
    "over "
    "a reload while the limit stays as it is; a limit that is changed begins anew."};
