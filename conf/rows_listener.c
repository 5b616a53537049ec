/* What a listener may say. */
#include "base/http1.h"
#include "conf/rows_define.h"
#include "conf/sni.h"

PAIR(struct conf_listener, binds, bind_count);
PAIR(struct conf_listener, trusted, trusted_count);
PAIR(struct conf_listener, rate_limits, rate_limit_count);
PAIR(struct conf_listener, error_pages, error_page_count);

PAIR(struct conf_sni_rule, alpn, alpn_count);

static const char *const protocols[] = {
    [CONF_HTTP] = "http", [CONF_TCP] = "tcp", [CONF_UDP] = "udp", NULL};

const char *conf_protocol_name(enum conf_protocol protocol)
{
    return protocols[protocol];
}

static const char *const forwardeds[] = {[CONF_FORWARDED_TRUSTED] = "trusted",
                                         [CONF_FORWARDED_SET] = "set",
                                         [CONF_FORWARDED_PASS] = "pass",
                                         [CONF_FORWARDED_REMOVE] = "remove",
                                         NULL};

static const struct conf_row listener_timeout_rows[] = {
    {.name = "header",
     .type = CONF_T_DURATION,
     .needs = CONF_KIND_HTTP | CONF_KIND_PROXY | CONF_KIND_SNI,
     FIELD(struct conf_timeouts, header_ms),
     .fallback = "10s",
     .min = 1,
     .max = DURATION_MAX,
     .also = "client_header request",
     .help =
         "For a client to send a whole request head, or what comes before it: a PROXY header, a "
         "ClientHello"},
    {.name = "body",
     .type = CONF_T_DURATION,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_timeouts, body_ms),
     .fallback = "60s",
     .min = 1,
     .max = DURATION_MAX,
     .also = "client_body",
     .help = "Between two parts of a request body"},
    {.name = "idle",
     .type = CONF_T_DURATION,
     .flags = CONF_DERIVED,
     FIELD(struct conf_timeouts, idle_ms),
     .fallback = "60s; tcp: 1h; udp: 30s",
     .min = 1,
     .max = DURATION_MAX,
     .also = "keepalive keepalive_timeout client",
     .help = "For a client connection on which nothing happens"},
    END};
const struct conf_section conf_section_listener_timeouts = {
    "listeners.*.timeouts", listener_timeout_rows, "The client side."};

static const struct conf_row limit_rows[] = {
    {.name = "header_size",
     .type = CONF_T_SIZE,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_limits, header_bytes),
     .fallback = "32k",
     .min = KIB,
     .max = 64 * KIB, /* what a worker's large buffer holds */
     .help = "Longest request head, start line included; more is answered with 431 (or 414)"},
    {.name = "headers",
     .type = CONF_T_NUMBER,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_limits, headers),
     .fallback = "128",
     .min = 1,
     .max = HTTP1_HEADERS_MAX,
     .help = "Most header fields in a request; more are answered with 431"},
    {.name = "body_size",
     .type = CONF_T_SIZE,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_limits, body_bytes),
     .fallback = "50m",
     .min = 0,
     .max = 1ull << 50,
     .also = "client_max_body_size max_body_size",
     .help = "Longest request body; more is answered with 413. `0b`: no limit"},
    {.name = "connections_per_client",
     .type = CONF_T_NUMBER,
     .needs = CONF_KIND_HTTP | CONF_KIND_TCP,
     FIELD(struct conf_limits, connections_per_client),
     .fallback = "0",
     .max = 1000000,
     .also = "limit_conn max_connections_per_ip maxconn_per_ip",
     .help = "Most connections at a time from one client address (of IPv6: a network of 64 bits), "
             "exact over all workers; more are closed at once. `0`: no limit"},
    {.name = "bandwidth",
     .type = CONF_T_SIZE,
     .needs = CONF_KIND_HTTP | CONF_KIND_TCP,
     FIELD(struct conf_limits, bandwidth),
     .fallback = "0b",
     .max = 1ull << 40,
     .also = "limit_rate rate bwlim proxy_download_rate",
     .help = "Bytes in a second that one client connection is sent, whatever it carries: all "
             "requests of an HTTP/2 connection share it. Holds for connections made while there is "
             "a limit. `0b`: no limit"},
    {.name = "upload_bandwidth",
     .type = CONF_T_SIZE,
     .needs = CONF_KIND_HTTP | CONF_KIND_TCP,
     FIELD(struct conf_limits, upload_bandwidth),
     .fallback = "0b",
     .max = 1ull << 40,
     .also = "proxy_upload_rate upload_rate bandwidth_in bwlim_in",
     .help = "Bytes in a second that are read of one client connection, of all its requests "
             "together: who sends faster is slowed down. Holds as `bandwidth` does. `0b`: no "
             "limit"},
    END};
const struct conf_section conf_section_limits = {"listeners.*.limits", limit_rows,
                                                 "What one request, and one client, may be."};

static const struct conf_row sni_rows[] = {
    {.name = "host",
     .type = CONF_T_SNI_HOST,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_sni_rule, host),
     .also = "name server_name",
     .help = "The name: `a.example`; `*.a.example` for all names below that, however deep; `*` for "
             "any name, and none"},
    {.name = "alpn",
     .type = CONF_T_SNI_ALPN,
     .flags = CONF_OMIT,
     FIELD(struct conf_sni_rule, alpn),
     .also = "protocols",
     .help = "Only when the client offers one of these protocols, such as `h2`"},
    {.name = "pool",
     .type = CONF_T_POOL,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_sni_rule, pool),
     .also = "backend",
     .help = "The pool that gets the connection"},
    END};
const struct conf_section conf_section_sni = {
    "listeners.*.sni", sni_rows,
    "A list of groups. Among rules of one host the first whose `alpn` fits is taken."};

static const struct conf_row listener_rows[] = {
    {.name = "bind",
     .type = CONF_T_BINDS,
     .flags = CONF_REQUIRED | CONF_OWN,
     FIELD(struct conf_listener, binds),
     .also = "listen address port",
     .help =
         "Where clients connect: `*:80` (IPv4 and IPv6), `0.0.0.0:80` (IPv4), `[::]:80` (IPv6), "
         "`10.0.0.1:80`, `unix:/path`, or a list of these"},
    {.name = "protocol",
     .type = CONF_T_ENUM,
     FIELD(struct conf_listener, protocol),
     .fallback = "http",
     .names = protocols,
     .also = "mode type",
     .help =
         "`http` understands requests, `tcp` forwards bytes, `udp` datagrams: a client's address "
         "and port are a session, which stays with one backend"},
    {.name = "max_connections",
     .type = CONF_T_NUMBER,
     .flags = CONF_OWN,
     FIELD(struct conf_listener, max_connections),
     .fallback = "0",
     .max = 10000000,
     .also = "maxconn",
     .help = "Most clients of this listener at a time, over all workers; the others wait to be "
             "accepted. `0`: only the limit of the whole instance"},
    {.name = "pool",
     .type = CONF_T_POOL,
     .flags = CONF_OWN | CONF_OMIT,
     FIELD(struct conf_listener, pool),
     .also = "default_backend use_backend proxy_pass upstream backend",
     .help = "The pool that gets the traffic; with `routes` or `sni`: what none of them takes, and "
             "what is not TLS"},
    {.name = "routes",
     .type = CONF_T_ROUTES,
     .flags = CONF_OWN | CONF_OMIT | CONF_HTTP_ONLY,
     FIELD(struct conf_listener, routes),
     .section = &conf_section_route,
     .also = "route locations location rules paths",
     .help =
         "Which request goes where, see `listeners.*.routes`. What no route takes goes to `pool`; "
         "without one it is answered with 404"},
    {.name = "redirect",
     .type = CONF_T_STRING,
     .flags = CONF_OWN | CONF_OMIT | CONF_HTTP_ONLY,
     FIELD(struct conf_listener, redirect),
     .min = 1,
     .max = 2048,
     .also = "return",
     .help = "Instead of `pool`: `https` sends clients to the same address with https, 301; or "
             "where to, as a route's `redirect`"},
    {.name = "request_headers",
     .type = CONF_T_GROUP,
     .flags = CONF_HTTP_ONLY | CONF_OMIT,
     FIELD(struct conf_listener, request_headers),
     .section = &conf_section_request_headers,
     .also = "proxy_set_header"},
    {.name = "response_headers",
     .type = CONF_T_GROUP,
     .flags = CONF_HTTP_ONLY | CONF_OMIT,
     FIELD(struct conf_listener, response_headers),
     .section = &conf_section_response_headers,
     .also = "add_header"},
    {.name = "allow",
     .type = CONF_T_CIDRS,
     .flags = CONF_HTTP_ONLY | CONF_OMIT,
     FIELD(struct conf_listener, networks.allow),
     .help = "Only clients in these networks; others get 403. `deny` comes first"},
    {.name = "deny",
     .type = CONF_T_CIDRS,
     .flags = CONF_HTTP_ONLY | CONF_OMIT,
     FIELD(struct conf_listener, networks.deny),
     .also = "block blacklist",
     .help = "Clients in these networks get 403"},
    {.name = "auth",
     .type = CONF_T_AUTH,
     .flags = CONF_HTTP_ONLY | CONF_OMIT,
     FIELD(struct conf_listener, auth),
     .section = &conf_section_auth,
     .also = "auth_basic auth_jwt authentication",
     .help = "Who may ask, see `auth`"},
    {.name = "compression",
     .type = CONF_T_COMPRESSION,
     .flags = CONF_HTTP_ONLY | CONF_OMIT,
     FIELD(struct conf_listener, compression),
     .section = &conf_section_compression,
     .also = "gzip brotli compress",
     .help = "Answers go out compressed, see `compression`"},
    {.name = "error_pages",
     .type = CONF_T_ERROR_PAGES,
     .flags = CONF_HTTP_ONLY | CONF_OMIT,
     FIELD(struct conf_listener, error_pages),
     .section = &conf_section_error_page,
     .also = "error_page errorfile",
     .help = "Bodies for error replies of the balancer itself, see `error_pages`"},
    {.name = "timeouts",
     .type = CONF_T_GROUP,
     FIELD(struct conf_listener, timeouts),
     .section = &conf_section_listener_timeouts,
     .also = "timeout"},
    {.name = "limits",
     .type = CONF_T_GROUP,
     FIELD(struct conf_listener, limits),
     .section = &conf_section_limits},
    {.name = "trusted",
     .type = CONF_T_CIDRS,
     .needs = CONF_KIND_HTTP | CONF_KIND_PROXY,
     FIELD(struct conf_listener, trusted),
     .fallback = "",
     .also = "set_real_ip_from",
     .help = "Networks whose `X-Forwarded-For` and PROXY headers are believed, such as "
             "`[ \"10.0.0.0/8\" ]`"},
    {.name = "forwarded",
     .type = CONF_T_ENUM,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_listener, forwarded),
     .fallback = "trusted",
     .names = forwardeds,
     .also = "forwardfor rfc7239",
     .help = "The `Forwarded` field of requests (RFC 7239), which programs that know it believe "
             "before `X-Forwarded-For`. `trusted`: what a `trusted` proxy sent passes, what others "
             "sent is dropped; `set`: the same, and what is seen here is added: "
             "`for=192.0.2.1;host=\"example.com\";proto=https`; `pass`: everybody's passes; "
             "`remove`: nobody's does"},
    {.name = "proxy_protocol",
     .type = CONF_T_BOOL,
     .needs = CONF_KIND_HTTP | CONF_KIND_TCP,
     FIELD(struct conf_listener, proxy_protocol),
     .fallback = "false",
     .also = "accept_proxy accept-proxy",
     .help = "Every connection begins with a PROXY header, version 1 or 2, that names the client; "
             "only `trusted` networks (and unix sockets) may connect. Who is not trusted, or sends "
             "no header or a malformed one, is closed"},
    {.name = "access_log",
     .type = CONF_T_ACCESS_LOG,
     FIELD(struct conf_listener, access_log),
     .section = &conf_section_access_log,
     .also = "log accesslog"},
    {.name = "traceparent",
     .type = CONF_T_BOOL,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_listener, traceparent),
     .fallback = "false",
     .also = "trace tracing trace_context opentelemetry otel",
     .help = "`true`: every request has a `traceparent` (W3C Trace Context): a valid one of the "
             "client passes with its `tracestate`, else both are dropped and a trace begins here; "
             "`trace_id` stands in the JSON access log. `false`: both pass as they are"},
    {.name = "traceparent_sample",
     .type = CONF_T_PERCENT,
     .flags = CONF_HTTP_ONLY,
     FIELD(struct conf_listener, traceparent_sample),
     .fallback = "100%",
     .max = 100,
     .also = "trace_sample sampling",
     .help = "Of the traces that begin here, so many say that they are sampled"},
    {.name = "rate_limit",
     .type = CONF_T_RATE_LIMITS,
     .flags = CONF_OWN | CONF_OMIT,
     FIELD(struct conf_listener, rate_limits),
     .section = &conf_section_rate_limit,
     .also = "limit_req ratelimit stick_table throttle",
     .help = "How often clients may ask: see `listeners.*.rate_limit`"},
    {.name = "tls",
     .type = CONF_T_TLS,
     .flags = CONF_OWN,
     .needs = CONF_KIND_HTTP | CONF_KIND_TCP,
     FIELD(struct conf_listener, tls),
     .section = &conf_section_tls,
     .also = "ssl https"},
    {.name = "sni",
     .type = CONF_T_SNI,
     .flags = CONF_OWN | CONF_OMIT,
     .needs = CONF_KIND_TCP,
     FIELD(struct conf_listener, sni),
     .section = &conf_section_sni,
     .also = "server_names ssl_preread",
     .help = "Which pool gets a TLS connection, by what its ClientHello asks for; the bytes go on "
             "untouched. The most specific host wins. What no rule takes goes to `pool`, and is "
             "closed without one; so is who sends no ClientHello within `timeouts.header`"},
    {.name = "responses",
     .type = CONF_T_NUMBER,
     .needs = CONF_KIND_UDP,
     FIELD(struct conf_listener, responses),
     .fallback = "0",
     .max = 1000000,
     .also = "proxy_responses",
     .help =
         "Answers to expect for each datagram of a client: the session ends with the last of them "
         "(DNS: `1`). `0`: any number, it ends when idle for `timeouts.idle`"},
    {.name = "quic",
     .type = CONF_T_BOOL,
     .needs = CONF_KIND_UDP,
     FIELD(struct conf_listener, quic),
     .fallback = "false",
     .also = "http3 h3 connection_id",
     .help = "The datagrams are QUIC: a client whose address changes keeps its backend, which it "
             "calls by the connection id that the backend chose in the handshake"},
    END};
const struct conf_section conf_section_listener = {
    "listeners.*", listener_rows,
    "What clients connect to. The key is the listener's name: a letter, then letters, digits, `_` "
    "and `-`, at most 63."};
