/* What active health checks may say: of a pool, or of one backend. */
#include "conf/health.h"
#include "conf/rows_define.h"
#include "conf/walk.h"

PAIR(struct conf_health, expect_texts, expect_text_count);
PAIR(struct conf_health, headers, header_count);

static const char *const types[] = {[CONF_HEALTH_NONE] = "none",
                                    [CONF_HEALTH_HTTP] = "http",
                                    [CONF_HEALTH_TCP] = "tcp",
                                    [CONF_HEALTH_TLS] = "tls",
                                    [CONF_HEALTH_GRPC] = "grpc",
                                    [CONF_HEALTH_UDP] = "udp",
                                    NULL};
static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "POST", "PUT", NULL};

#define HTTP HEALTH_KIND(CONF_HEALTH_HTTP)
#define TCP  HEALTH_KIND(CONF_HEALTH_TCP)
#define GRPC HEALTH_KIND(CONF_HEALTH_GRPC)
#define UDP  HEALTH_KIND(CONF_HEALTH_UDP)

static const struct conf_row rows[] = {
    {.name = "type",
     .type = CONF_T_ENUM,
     .flags = CONF_DERIVED,
     FIELD(struct conf_health, type),
     .fallback = "http; pools used by tcp listeners only: tcp, by udp listeners only: udp",
     .names = types,
     .also = "mode protocol",
     .help = "`http` asks for `path`; `tcp` connects, and may talk (`send`, `expect`); `tls` "
             "connects and shakes hands; `grpc` asks `grpc.health.v1.Health/Check`, `SERVING` is "
             "healthy; `udp` sends a datagram; `none` checks nothing"},
    {.name = "path",
     .type = CONF_T_URI_PATH,
     FIELD(struct conf_health, path),
     .fallback = "/health",
     .max = 1024,
     .kinds = HTTP,
     .also = "uri url",
     .help = "What an http check asks for"},
    {.name = "host",
     .type = CONF_T_HOST,
     FIELD(struct conf_health, host),
     .fallback = "",
     .max = 255,
     .kinds = HTTP | GRPC,
     .help = "Host field of an http check, authority of a grpc one; empty: the backend's address"},
    {.name = "method",
     .type = CONF_T_CHOICE,
     FIELD(struct conf_health, method),
     .fallback = "GET",
     .names = methods,
     .kinds = HTTP,
     .help = "Of an http check; it never has a body"},
    {.name = "headers",
     .type = CONF_T_PAIRS,
     FIELD(struct conf_health, headers),
     .fallback = "",
     .max = HEALTH_HEADERS_BYTES,
     .kinds = HTTP,
     .also = "header request_headers",
     .help = "More fields of an http check: `( ( \"X-Probe\", \"lb\" ), ... )`. `User-Agent` and "
             "`Accept` take the place of the usual ones; the host is set by `host`"},
    {.name = "expect",
     .type = CONF_T_EXPECT,
     FIELD(struct conf_health, expect_texts),
     .fallback = "200-299",
     .kinds = HTTP | TCP | UDP,
     .also = "status match",
     .help =
         "http: statuses that count as healthy: `\"200\"`, `\"200-299\"`, `\"200,204\"`, or a "
         "list. tcp and udp: a text that must stand somewhere in what the backend says "
         "(within its first 16 KiB), escapes as in `send`; the default is none: a tcp backend "
         "need not speak, and a udp one is healthy unless its host says that the port is closed "
         "before `timeout`. In `defaults` it is for http checks, unless their `type` says tcp "
         "or udp"},
    {.name = "body",
     .type = CONF_T_STRING,
     FIELD(struct conf_health, body),
     .fallback = "",
     .max = 1024,
     .kinds = HTTP,
     .also = "match string",
     .help = "A text that must stand in the answer's body, within its first 64 KiB; empty: the "
             "body is not read"},
    {.name = "send",
     .type = CONF_T_BYTES,
     FIELD(struct conf_health, send),
     .fallback = "",
     .max = 4096,
     .kinds = TCP | UDP,
     .also = "request query",
     .help = "What a tcp check says after connecting, or the datagram of a udp check: text with "
             "`\\r`, `\\n`, `\\t`, `\\xHH`; a zero byte is `\\\\x00` and a backslash `\\\\\\\\`. "
             "Empty: nothing; udp: a datagram without contents"},
    {.name = "service",
     .type = CONF_T_STRING,
     FIELD(struct conf_health, service),
     .fallback = "",
     .max = 255,
     .kinds = GRPC,
     .help = "Which service a grpc check asks about; empty: the server as a whole"},
    {.name = "tls",
     .type = CONF_T_BOOL,
     FIELD(struct conf_health, tls),
     .fallback = "false",
     .kinds = HTTP | TCP | GRPC,
     .also = "ssl https check-ssl",
     .help = "Check inside TLS: https, grpc over TLS"},
    {.name = "verify",
     .type = CONF_T_BOOL,
     FIELD(struct conf_health, verify),
     .fallback = "false",
     .kinds = HEALTH_IN_TLS,
     .help = "Checks in TLS: a certificate that is expired, of an unknown issuer or of another "
             "name is a failure"},
    {.name = "sni",
     .type = CONF_T_HOST,
     FIELD(struct conf_health, sni),
     .fallback = "",
     .max = 253,
     .kinds = HEALTH_IN_TLS,
     .also = "server_name check-sni",
     .help = "Checks in TLS: the name to ask for, and to verify; empty: `host`, else the backend's "
             "host when that is a name"},
    {.name = "ca",
     .type = CONF_T_CA_FILE,
     FIELD(struct conf_health, ca),
     .fallback = "",
     .kinds = HEALTH_IN_TLS,
     .also = "ca_file ca-file cafile",
     .help = "File with the issuers that `verify` believes (PEM); empty: the system's"},
    {.name = "port",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_health, port),
     .fallback = "0",
     .max = 65535,
     .help = "Port to check; `0`: the one that gets the traffic"},
    {.name = "interval",
     .type = CONF_T_DURATION,
     FIELD(struct conf_health, interval_ms),
     .fallback = "10s",
     .min = 10,
     .max = DURATION_MAX,
     .also = "inter period",
     .help = "Between two checks of a backend, give or take a tenth; a quarter of it (not below "
             "1s) while the verdict is about to change"},
    {.name = "timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_health, timeout_ms),
     .fallback = "5s",
     .min = 1,
     .max = HOUR,
     .help = "A check that takes longer has failed"},
    {.name = "healthy_threshold",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_health, healthy_threshold),
     .fallback = "2",
     .min = 1,
     .max = 1000,
     .also = "rise passes",
     .help = "Checks in a row that must pass before an unhealthy backend gets traffic again"},
    {.name = "unhealthy_threshold",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_health, unhealthy_threshold),
     .fallback = "3",
     .min = 1,
     .max = 1000,
     .also = "fall fails",
     .help = "Checks in a row that must fail before a healthy backend gets none"},
    END};

static uint32_t kind(const void *base)
{
    const struct conf_health *h = base;
    bool choice = HEALTH_KIND(h->type) & (HTTP | TCP | GRPC);
    bool in_tls = h->type == CONF_HEALTH_TLS || (choice && h->tls);
    return HEALTH_KIND(h->type) | (in_tls ? HEALTH_IN_TLS : 0);
}

static void said(struct walk *w, void *base, const struct conf_row *row, struct conf_pos pos)
{
    struct conf_health *h = base;
    if (h->said == NULL)
        h->said = ARENA_ARRAY(w->arena, struct conf_pos, ARRAY_LEN(rows));
    h->said[row - rows] = walk_keep_pos(w, pos);
}

const struct conf_section conf_section_health = {
    "pools.*.health", rows,
    "Active health checks. A backend may have a `health` group of its own with what differs."};
const struct conf_kinds conf_kinds_health = {&conf_section_health, kind, said};
