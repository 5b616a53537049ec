/*
 * base/net_addr.c: addresses of base/net.h: parse, resolve, format, compare, CIDR blocks.
 */
#include "base/net.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_PREFIX   "unix:"
#define HOST_MAX      256 /* a DNS name has at most 253 bytes */
#define UN_PATH_OFF   offsetof(struct sockaddr_un, sun_path)
#define MAPPED_PREFIX 96 /* bits of ::ffff:0:0/96 */

struct split {
    char host[HOST_MAX];
    uint16_t port;
    bool bracketed;
};

static int fail(char *why, size_t cap, const char *fmt, ...) PRINTF(3, 4);
static int fail(char *why, size_t cap, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, cap, fmt, ap);
    va_end(ap);
    return -1;
}

static int parse_unix(const char *path, struct net_addr *out, char *why, size_t why_cap)
{
    size_t len = strlen(path);
    if (path[0] != '/')
        return fail(why, why_cap,
                    "a unix socket path must be absolute, as in \"unix:/run/app.sock\"");
    if (len >= sizeof out->u.un.sun_path)
        return fail(why, why_cap,
                    "the unix socket path is too long: %zu bytes, the system allows %zu", len,
                    sizeof out->u.un.sun_path - 1);
    *out = (struct net_addr){.len_bytes = (socklen_t)(UN_PATH_OFF + len + 1)};
    out->u.un.sun_family = AF_UNIX;
    memcpy(out->u.un.sun_path, path, len + 1);
    return 0;
}

static int parse_port(const char *text, uint16_t *port, char *why, size_t why_cap)
{
    size_t len = strspn(text, "0123456789");
    long value = len > 0 && len <= 5 && text[0] != '0' ? strtol(text, NULL, 10) : 0;
    if (text[len] || value < 1 || value > UINT16_MAX)
        return fail(why, why_cap, "port \"%.32s\" is not a number from 1 to 65535", text);
    *port = (uint16_t)value;
    return 0;
}

/* The colon before the port; NULL with a reason when there is none. */
static const char *find_port(const char *text, char *why, size_t why_cap)
{
    const char *colon = strrchr(text, ':');
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (!end)
            fail(why, why_cap, "\"[\" without \"]\", write \"[::1]:80\"");
        else if (end[1] == ':')
            return end + 1;
        else
            fail(why, why_cap,
                 end[1] ? "only \":port\" may follow \"]\""
                        : "the port is missing, write \"%s:80\"",
                 text);
        return NULL;
    }
    if (colon && strchr(text, ':') != colon) {
        fail(why, why_cap, "an IPv6 address is written in brackets, as in \"[::1]:80\"");
        return NULL;
    }
    if (!colon)
        fail(why, why_cap, "the port is missing, write \"%.*s:80\"", HOST_MAX, text);
    return colon;
}

/* "host:port" into its parts; the host is not looked at. */
static int split_host_port(const char *text, struct split *s, char *why, size_t why_cap)
{
    *s = (struct split){0};
    if (!*text)
        return fail(why, why_cap, "the address is empty");
    const char *colon = find_port(text, why, why_cap);
    if (!colon)
        return -1;
    s->bracketed = text[0] == '[';
    const char *host = text + (s->bracketed ? 1 : 0);
    size_t len = (size_t)(colon - host) - (s->bracketed ? 1 : 0);
    if (len == 0)
        return fail(why, why_cap, "the host is missing, write \"*:%.5s\" or \"127.0.0.1:%.5s\"",
                    colon + 1, colon + 1);
    if (len >= sizeof s->host)
        return fail(why, why_cap, "the host is too long: %zu bytes", len);
    memcpy(s->host, host, len);
    s->host[len] = 0;
    return parse_port(colon + 1, &s->port, why, why_cap);
}

static void set_v4(struct net_addr *a, struct in_addr host, uint16_t port)
{
    *a = (struct net_addr){.len_bytes = sizeof a->u.in};
    a->u.in.sin_family = AF_INET;
    a->u.in.sin_addr = host;
    a->u.in.sin_port = htons(port);
}

static void set_v6(struct net_addr *a, struct in6_addr host, uint16_t port)
{
    *a = (struct net_addr){.len_bytes = sizeof a->u.in6};
    a->u.in6.sin6_family = AF_INET6;
    a->u.in6.sin6_addr = host;
    a->u.in6.sin6_port = htons(port);
}

/* A host given as a number or "*". Returns whether it was one. */
static bool set_numeric(struct net_addr *a, const struct split *s)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (s->bracketed && inet_pton(AF_INET6, s->host, &v6) == 1)
        set_v6(a, v6, s->port);
    else if (!s->bracketed && strcmp(s->host, "*") == 0)
        set_v6(a, in6addr_any, s->port);
    else if (!s->bracketed && inet_pton(AF_INET, s->host, &v4) == 1)
        set_v4(a, v4, s->port);
    else
        return false;
    return true;
}

int net_addr_parse(const char *text, struct net_addr *out, char *why, size_t why_cap)
{
    struct split s;
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(text + strlen(UNIX_PREFIX), out, why, why_cap);
    if (split_host_port(text, &s, why, why_cap) == -1)
        return -1;
    if (set_numeric(out, &s))
        return 0;
    return fail(why, why_cap, "\"%.64s\" is not an IP%s address", s.host, s.bracketed ? "v6" : "");
}

/* A name that DNS could know. What ends in a number ("10.0.0.256", "10.1") is a mistyped IPv4
 * address, which getaddrinfo would read in inet_aton's ways. */
static bool is_host_name(const char *host)
{
    const char *label = strrchr(host, '.');
    label = label ? label + 1 : host;
    if (host[0] == '.' || host[0] == '-' || (*label && label[strspn(label, "0123456789")] == 0))
        return false;
    for (const char *p = host; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
            return false;
    return true;
}

/* The first address, in the order of RFC 6724. Only between the two loopback addresses, as for
 * "localhost", IPv4 wins: what listens on localhost often listens there alone. */
static const struct addrinfo *choose(const struct addrinfo *list)
{
    struct net_addr first, other;
    net_addr_from_sockaddr(&first, list->ai_addr, list->ai_addrlen);
    if (first.u.sa.sa_family != AF_INET6 || !net_addr_is_loopback(&first))
        return list;
    for (const struct addrinfo *ai = list->ai_next; ai; ai = ai->ai_next) {
        net_addr_from_sockaddr(&other, ai->ai_addr, ai->ai_addrlen);
        if (other.u.sa.sa_family == AF_INET && net_addr_is_loopback(&other))
            return ai;
    }
    return list;
}

int net_addr_resolve(const char *text, struct net_addr *out, char *why, size_t why_cap)
{
    struct split s;
    if (net_addr_parse(text, out, why, why_cap) == 0)
        return 0;
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0 ||
        split_host_port(text, &s, why, why_cap) == -1)
        return -1;
    if (s.bracketed || !is_host_name(s.host))
        return fail(why, why_cap, "\"%.64s\" is neither an IP%s address nor a host name", s.host,
                    s.bracketed ? "v6" : "");
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
    int rc = getaddrinfo(s.host, NULL, &hints, &list);
    if (rc != 0)
        return fail(why, why_cap, "cannot resolve \"%.64s\": %s", s.host, gai_strerror(rc));
    const struct addrinfo *ai = choose(list);
    net_addr_from_sockaddr(out, ai->ai_addr, ai->ai_addrlen);
    freeaddrinfo(list);
    if (out->u.sa.sa_family == AF_INET)
        out->u.in.sin_port = htons(s.port);
    else
        out->u.in6.sin6_port = htons(s.port);
    return 0;
}

void net_addr_from_sockaddr(struct net_addr *a, const struct sockaddr *sa, socklen_t len_bytes)
{
    if (len_bytes > sizeof a->u)
        len_bytes = sizeof a->u;
    *a = (struct net_addr){.len_bytes = len_bytes};
    memcpy(&a->u, sa, len_bytes);
}

/* IPv4, also in IPv6's clothes (RFC 4291 2.5.5.2): a dual-stack socket shows its IPv4 peers so. */
static bool as_v4(const struct net_addr *a, struct in_addr *v4)
{
    if (a->u.sa.sa_family == AF_INET) {
        *v4 = a->u.in.sin_addr;
        return true;
    }
    if (a->u.sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr))
        return false;
    memcpy(v4, &a->u.in6.sin6_addr.s6_addr[12], 4);
    return true;
}

/* sun_path need not end in NUL; an abstract name begins with one; a peer that never bound has no
 * name. */
static void format_unix(const struct net_addr *a, char *out, size_t cap)
{
    size_t len = a->len_bytes > UN_PATH_OFF ? a->len_bytes - UN_PATH_OFF : 0;
    const char *path = a->u.un.sun_path;
    if (len > 0 && path[0] == 0)
        snprintf(out, cap, UNIX_PREFIX "@%.*s", (int)strnlen(path + 1, len - 1), path + 1);
    else
        snprintf(out, cap, UNIX_PREFIX "%.*s", (int)strnlen(path, len), path);
}

/* Each byte in decimal from the left, then its length: one load and one store per byte. */
#define DECIMAL_1(n)                                                                               \
    {                                                                                              \
        (n) >= 100  ? '0' + (n) / 100                                                              \
        : (n) >= 10 ? '0' + (n) / 10                                                               \
                    : '0' + (n),                                                                   \
            (n) >= 100 ? '0' + (n) / 10 % 10 : '0' + (n) % 10, '0' + (n) % 10,                     \
            (n) >= 100  ? 3                                                                        \
            : (n) >= 10 ? 2                                                                        \
                        : 1                                                                        \
    }
#define DECIMAL_4(n)  DECIMAL_1(n), DECIMAL_1((n) + 1), DECIMAL_1((n) + 2), DECIMAL_1((n) + 3)
#define DECIMAL_16(n) DECIMAL_4(n), DECIMAL_4((n) + 4), DECIMAL_4((n) + 8), DECIMAL_4((n) + 12)
#define DECIMAL_64(n)                                                                              \
    DECIMAL_16(n), DECIMAL_16((n) + 16), DECIMAL_16((n) + 32), DECIMAL_16((n) + 48)
static const char decimal[256][4] = {DECIMAL_64(0), DECIMAL_64(64), DECIMAL_64(128),
                                     DECIMAL_64(192)};

static inline char *put_byte(char *at, uint8_t n)
{
    memcpy(at, decimal[n], 4);
    return at + decimal[n][3];
}

uint32_t net_ip_format(int family, const void *ip, char out[INET6_ADDRSTRLEN])
{
    const uint8_t *bytes = ip;
    char *at = out;
    if (family == AF_INET6)
        return inet_ntop(AF_INET6, ip, out, INET6_ADDRSTRLEN) ? (uint32_t)strlen(out) : 0;
    for (unsigned i = 0; i < 4 && family == AF_INET; i++) {
        at = put_byte(at, bytes[i]);
        *at++ = '.';
    }
    if (at == out)
        return 0;
    *--at = '\0';
    return (uint32_t)(at - out);
}

char *net_addr_format_host(const struct net_addr *a, char *out, size_t cap)
{
    struct in_addr v4;
    char text[INET6_ADDRSTRLEN] = "?";
    if (a->u.sa.sa_family == AF_UNIX) {
        format_unix(a, out, cap);
        return out;
    }
    if (as_v4(a, &v4))
        inet_ntop(AF_INET, &v4, text, sizeof text);
    else if (a->u.sa.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &a->u.in6.sin6_addr, text, sizeof text);
    snprintf(out, cap, "%s", text);
    return out;
}

char *net_addr_format(const struct net_addr *a, char *out, size_t cap)
{
    struct in_addr v4;
    char host[NET_ADDR_STRLEN];
    net_addr_format_host(a, host, sizeof host);
    if (a->u.sa.sa_family == AF_UNIX)
        snprintf(out, cap, "%s", host);
    else
        snprintf(out, cap, as_v4(a, &v4) ? "%s:%u" : "[%s]:%u", host, net_addr_port(a));
    return out;
}

uint16_t net_addr_port(const struct net_addr *a)
{
    if (a->u.sa.sa_family == AF_INET)
        return ntohs(a->u.in.sin_port);
    if (a->u.sa.sa_family == AF_INET6)
        return ntohs(a->u.in6.sin6_port);
    return 0;
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
    if (a->u.sa.sa_family != b->u.sa.sa_family || net_addr_port(a) != net_addr_port(b))
        return false;
    switch (a->u.sa.sa_family) {
    case AF_INET: return a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, 16) == 0 &&
               a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id;
    case AF_UNIX: return strncmp(a->u.un.sun_path, b->u.un.sun_path, sizeof a->u.un.sun_path) == 0;
    default: return false;
    }
}

bool net_addr_is_loopback(const struct net_addr *a)
{
    struct in_addr v4;
    if (as_v4(a, &v4))
        return ntohl(v4.s_addr) >> 24 == 127;
    return a->u.sa.sa_family == AF_UNIX ||
           (a->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr));
}

bool net_addr_is_wildcard(const struct net_addr *a)
{
    struct in_addr v4;
    if (as_v4(a, &v4))
        return v4.s_addr == htonl(INADDR_ANY);
    return a->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
}

/* "/n" behind the address; none means the whole address. */
static int parse_prefix(const char *slash, unsigned max, uint8_t *bits)
{
    *bits = (uint8_t)max;
    if (!slash)
        return 0;
    size_t len = strspn(slash + 1, "0123456789");
    if (len == 0 || len > 3 || slash[1 + len] || (slash[1] == '0' && len > 1))
        return -1;
    unsigned value = (unsigned)strtoul(slash + 1, NULL, 10);
    if (value > max)
        return -1;
    *bits = (uint8_t)value;
    return 0;
}

int net_cidr_parse(const char *text, struct net_cidr *out)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof host)
        return -1;
    memcpy(host, text, len);
    host[len] = 0;
    *out = (struct net_cidr){0};
    if (inet_pton(AF_INET, host, out->bytes) == 1) {
        out->family = AF_INET;
        return parse_prefix(slash, 32, &out->prefix_bits);
    }
    if (inet_pton(AF_INET6, host, out->bytes) != 1 ||
        parse_prefix(slash, 128, &out->prefix_bits) == -1)
        return -1;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    out->family = AF_INET6;
    if (out->prefix_bits >= MAPPED_PREFIX && memcmp(out->bytes, mapped, sizeof mapped) == 0) {
        memcpy(out->bytes, out->bytes + 12, 4); /* IPv4, as net_cidr_match sees such peers */
        out->family = AF_INET;
        out->prefix_bits = (uint8_t)(out->prefix_bits - MAPPED_PREFIX);
    }
    return 0;
}

bool net_cidr_match(const struct net_cidr *c, const struct net_addr *a)
{
    struct in_addr v4;
    const uint8_t *bytes = a->u.in6.sin6_addr.s6_addr;
    uint8_t family = AF_INET6;
    if (as_v4(a, &v4)) {
        bytes = (const uint8_t *)&v4;
        family = AF_INET;
    } else if (a->u.sa.sa_family != AF_INET6) {
        return false;
    }
    size_t whole = c->prefix_bits / 8u;
    unsigned rest = c->prefix_bits % 8u;
    if (family != c->family || memcmp(bytes, c->bytes, whole) != 0)
        return false;
    return rest == 0 || ((bytes[whole] ^ c->bytes[whole]) & (0xffu << (8 - rest)) & 0xffu) == 0;
}
