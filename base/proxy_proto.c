#include "base/proxy_proto.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX      107u /* "PROXY UNKNOWN " with two of the longest IPv6 addresses and ports */
#define V2_FIXED    16u
#define V2_INET     12u
#define V2_INET6    36u
#define V2_UNIX     216u
#define V2_UNIX_ONE 108u

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static enum proxy_proto_result fail(struct proxy_proto *out, const char *why)
{
    out->error = why;
    return PROXY_PROTO_ERROR;
}

/* Do the bytes so far agree with text? */
static bool begins(const char *bytes, size_t len, const char *text, size_t text_len)
{
    return memcmp(bytes, text, len < text_len ? len : text_len) == 0;
}

static uint16_t get16(const char *at)
{
    return (uint16_t)((uint8_t)at[0] << 8 | (uint8_t)at[1]);
}

static void set_inet(struct net_addr *a, const void *ip, uint16_t port)
{
    memset(a, 0, sizeof *a);
    a->len_bytes = sizeof a->u.in;
    a->u.in.sin_family = AF_INET;
    a->u.in.sin_port = htons(port);
    memcpy(&a->u.in.sin_addr, ip, 4);
}

static void set_inet6(struct net_addr *a, const void *ip, uint16_t port)
{
    memset(a, 0, sizeof *a);
    a->len_bytes = sizeof a->u.in6;
    a->u.in6.sin6_family = AF_INET6;
    a->u.in6.sin6_port = htons(port);
    memcpy(&a->u.in6.sin6_addr, ip, 16);
}

/* ---- version 1: a line ---- */

/* The next word of a line, its end replaced by NUL; NULL: none, or an empty one. last: it ends the
 * line, else a space follows it. */
static char *take_word(char **at, bool last)
{
    char *word = *at, *space = strchr(word, ' ');
    if (*word == '\0' || space == word || (space != NULL) == last)
        return NULL;
    if (space)
        *space = '\0';
    *at = space ? space + 1 : word + strlen(word);
    return word;
}

/* 0 to 65535 without a leading zero. */
static bool read_port(const char *word, uint16_t *port)
{
    size_t digits = strspn(word, "0123456789");
    unsigned long value = 0;
    if (digits == 0 || digits > 5 || word[digits] || (word[0] == '0' && digits > 1))
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (unsigned long)(word[i] - '0');
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static bool read_endpoint(int family, const char *ip, const char *port_text, struct net_addr *out)
{
    uint8_t bytes[16];
    uint16_t port;
    if (inet_pton(family, ip, bytes) != 1 || !read_port(port_text, &port))
        return false;
    if (family == AF_INET)
        set_inet(out, bytes, port);
    else
        set_inet6(out, bytes, port);
    return true;
}

static bool read_addresses(int family, char *at, struct proxy_proto *out)
{
    char *from = take_word(&at, false);
    char *to = from ? take_word(&at, false) : NULL;
    char *from_port = to ? take_word(&at, false) : NULL;
    char *to_port = from_port ? take_word(&at, true) : NULL;
    return to_port && read_endpoint(family, from, from_port, &out->from) &&
           read_endpoint(family, to, to_port, &out->to);
}

/* The line without its end. */
static enum proxy_proto_result read_line(char *line, struct proxy_proto *out)
{
    if (strncmp(line, "TCP4 ", 5) == 0)
        return read_addresses(AF_INET, line + 5, out) ? PROXY_PROTO_DONE
                                                      : fail(out, "malformed PROXY TCP4 line");
    if (strncmp(line, "TCP6 ", 5) == 0)
        return read_addresses(AF_INET6, line + 5, out) ? PROXY_PROTO_DONE
                                                       : fail(out, "malformed PROXY TCP6 line");
    /* what follows UNKNOWN is to be ignored */
    if (strncmp(line, "UNKNOWN", 7) != 0 || (line[7] && line[7] != ' '))
        return fail(out, "unknown protocol in a PROXY line");
    out->local = true;
    return PROXY_PROTO_DONE;
}

static enum proxy_proto_result read_v1(const char *bytes, size_t len, struct proxy_proto *out)
{
    static const char start[] = "PROXY ";
    char line[V1_MAX + 1];
    size_t seen = len < V1_MAX ? len : V1_MAX;
    const char *end = memchr(bytes, '\r', seen);
    size_t text = end ? (size_t)(end - bytes) : seen;
    if (memchr(bytes, '\n', text) || memchr(bytes, '\0', text))
        return fail(out, "malformed PROXY line");
    if (!end || (size_t)(end - bytes) + 1 == V1_MAX)
        return seen == V1_MAX ? fail(out, "PROXY line too long") : PROXY_PROTO_MORE;
    if (text + 1 == len)
        return PROXY_PROTO_MORE;
    if (bytes[text + 1] != '\n' || text < sizeof start - 1)
        return fail(out, "malformed PROXY line");
    memcpy(line, bytes, text);
    line[text] = '\0';
    out->len_bytes = (uint32_t)text + 2;
    return read_line(line + sizeof start - 1, out);
}

/* ---- version 2: binary ---- */

/* Type, length, value, to the very end. */
static bool tlvs_fit(const char *at, size_t left)
{
    while (left > 0) {
        if (left < 3 || left - 3 < get16(at + 1))
            return false;
        size_t n = 3u + get16(at + 1);
        at += n;
        left -= n;
    }
    return true;
}

static void set_unix(struct net_addr *a, const char *path)
{
    memset(a, 0, sizeof *a);
    a->len_bytes = sizeof a->u.un;
    a->u.un.sun_family = AF_UNIX;
    memcpy(a->u.un.sun_path, path, sizeof a->u.un.sun_path - 1);
}

/* Bytes of the address block of a family, 0 for an unspecified one. */
static uint32_t block_bytes(unsigned family)
{
    static const uint32_t bytes[4] = {0, V2_INET, V2_INET6, V2_UNIX};
    return bytes[family];
}

static void take_block(const char *at, unsigned family, struct proxy_proto *out)
{
    if (family == 1) {
        set_inet(&out->from, at, get16(at + 8));
        set_inet(&out->to, at + 4, get16(at + 10));
    } else if (family == 2) {
        set_inet6(&out->from, at, get16(at + 32));
        set_inet6(&out->to, at + 16, get16(at + 34));
    } else {
        set_unix(&out->from, at);
        set_unix(&out->to, at + V2_UNIX_ONE);
    }
}

/* version and command, family and transport, length: what can be refused as soon as it is here */
static const char *refuse_fixed(const char *bytes, size_t len)
{
    if (len > 12 && ((uint8_t)bytes[12] >> 4 != 2 || ((uint8_t)bytes[12] & 15) > 1))
        return "unknown version or command in a PROXY header";
    if (len > 13 && ((uint8_t)bytes[13] >> 4 > 3 || ((uint8_t)bytes[13] & 15) > 2))
        return "unknown family or transport in a PROXY header";
    if (len >= V2_FIXED && get16(bytes + 14) > PROXY_PROTO_HEADER_MAX - V2_FIXED)
        return "PROXY header too long";
    return NULL;
}

static enum proxy_proto_result read_v2(const char *bytes, size_t len, struct proxy_proto *out)
{
    const char *refusal = refuse_fixed(bytes, len);
    if (refusal)
        return fail(out, refusal);
    if (len < V2_FIXED)
        return PROXY_PROTO_MORE;
    uint32_t rest = get16(bytes + 14);
    unsigned family = (uint8_t)bytes[13] >> 4;
    /* LOCAL: whatever else it says is to be passed over */
    out->local = ((uint8_t)bytes[12] & 15) == 0 || family == 0 || ((uint8_t)bytes[13] & 15) == 0;
    if (!out->local && rest < block_bytes(family))
        return fail(out, "PROXY header shorter than its addresses");
    if (len < V2_FIXED + rest)
        return PROXY_PROTO_MORE;
    out->len_bytes = V2_FIXED + rest;
    if (out->local)
        return PROXY_PROTO_DONE;
    uint32_t block = block_bytes(family);
    if (!tlvs_fit(bytes + V2_FIXED + block, rest - block))
        return fail(out, "malformed TLV in a PROXY header");
    take_block(bytes + V2_FIXED, family, out);
    return PROXY_PROTO_DONE;
}

enum proxy_proto_result proxy_proto_read(const char *bytes, size_t len, struct proxy_proto *out)
{
    memset(out, 0, sizeof *out);
    if (len == 0)
        return PROXY_PROTO_MORE;
    if (begins(bytes, len, signature, sizeof signature))
        return read_v2(bytes, len, out);
    if (begins(bytes, len, "PROXY ", 6))
        return read_v1(bytes, len, out);
    return fail(out, "no PROXY header");
}

/* ---- writing ---- */

static void put16(char *at, uint16_t value)
{
    at[0] = (char)(value >> 8);
    at[1] = (char)value;
}

/* IPv4 as IPv6 sees it (RFC 4291 2.5.5.2). */
static void to_ip6(const struct net_addr *a, uint8_t ip[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (a->u.sa.sa_family == AF_INET6) {
        memcpy(ip, &a->u.in6.sin6_addr, 16);
        return;
    }
    memcpy(ip, mapped, 12);
    memcpy(ip + 12, &a->u.in.sin_addr, 4);
}

enum kind { KIND_NONE, KIND_INET, KIND_INET6 };

static enum kind kind_of(const struct net_addr *from, const struct net_addr *to)
{
    if (!from || !to)
        return KIND_NONE;
    sa_family_t a = from->u.sa.sa_family, b = to->u.sa.sa_family;
    if ((a != AF_INET && a != AF_INET6) || (b != AF_INET && b != AF_INET6))
        return KIND_NONE;
    return a == AF_INET && b == AF_INET ? KIND_INET : KIND_INET6;
}

static size_t write_v1(enum kind kind, const struct net_addr *from, const struct net_addr *to,
                       char *out)
{
    char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];
    uint8_t ip[2][16];
    int family = kind == KIND_INET ? AF_INET : AF_INET6;
    if (kind == KIND_NONE)
        return (size_t)snprintf(out, PROXY_PROTO_OUT_MAX, "PROXY UNKNOWN\r\n");
    to_ip6(from, ip[0]);
    to_ip6(to, ip[1]);
    unsigned skip = kind == KIND_INET ? 12 : 0;
    inet_ntop(family, ip[0] + skip, a, sizeof a);
    inet_ntop(family, ip[1] + skip, b, sizeof b);
    return (size_t)snprintf(out, PROXY_PROTO_OUT_MAX, "PROXY TCP%c %s %s %u %u\r\n",
                            kind == KIND_INET ? '4' : '6', a, b, net_addr_port(from),
                            net_addr_port(to));
}

static void put_block(enum kind kind, const struct net_addr *from, const struct net_addr *to,
                      char *at)
{
    uint8_t ip[2][16];
    uint32_t bytes = kind == KIND_INET ? 4 : 16, skip = 16 - bytes;
    to_ip6(from, ip[0]);
    to_ip6(to, ip[1]);
    memcpy(at, ip[0] + skip, bytes);
    memcpy(at + bytes, ip[1] + skip, bytes);
    put16(at + 2 * bytes, net_addr_port(from));
    put16(at + 2 * bytes + 2, net_addr_port(to));
}

static size_t write_v2(enum kind kind, const struct net_addr *from, const struct net_addr *to,
                       char *out)
{
    static const char family[] = {0x00, 0x11, 0x21};
    uint32_t block = block_bytes(kind);
    memset(out, 0, V2_FIXED + block);
    memcpy(out, signature, sizeof signature);
    out[12] = from ? 0x21 : 0x20;
    out[13] = family[kind];
    put16(out + 14, (uint16_t)block);
    if (kind != KIND_NONE)
        put_block(kind, from, to, out + V2_FIXED);
    return V2_FIXED + block;
}

size_t proxy_proto_write(unsigned version, const struct net_addr *from, const struct net_addr *to,
                         char out[PROXY_PROTO_OUT_MAX])
{
    enum kind kind = kind_of(from, to);
    return version == 1 ? write_v1(kind, from, to, out) : write_v2(kind, from, to, out);
}
