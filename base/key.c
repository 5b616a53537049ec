/* base/key.c: see base/key.h. */
#include "base/key.h"

#include <string.h>

static const struct hash_key place = {0x62616c6c61737421u, 0x72657175657374u};

static struct key_part part_of_span(const char *base, struct http1_span s)
{
    return (struct key_part){base + s.off, s.len};
}

/* The value of a cookie in the rest of a Cookie field (RFC 6265 4.2): pairs separated by "; ". */
static struct key_part find_pair(const char *p, const char *end, const char *name, size_t name_len)
{
    for (const char *next = p; next && p < end; p = next) {
        while (p < end && (*p == ' ' || *p == '\t' || *p == ';'))
            p++;
        if (p == end)
            break;
        next = memchr(p, ';', (size_t)(end - p));
        const char *stop = next ? next : end;
        while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        if ((size_t)(stop - p) > name_len && memcmp(p, name, name_len) == 0 && p[name_len] == '=')
            return (struct key_part){p + name_len + 1, (size_t)(stop - p) - name_len - 1};
    }
    return (struct key_part){0};
}

struct key_part key_cookie_behind(const struct http1_head *h, const char *base, const char *name,
                                  const char *value)
{
    struct key_part found = {0};
    for (unsigned i = 0; i < h->count && !found.at; i++) {
        const char *at = base + h->headers[i].value.off, *end = at + h->headers[i].value.len;
        if (h->headers[i].id != HTTP1_H_COOKIE || end <= value)
            continue;
        if (at < value && !(at = memchr(value, ';', (size_t)(end - value))))
            continue;
        found = find_pair(at, end, name, strlen(name));
    }
    return found;
}

struct key_part key_cookie(const struct http1_head *h, const char *base, const char *name)
{
    return key_cookie_behind(h, base, name, base);
}

static struct key_part find_header(const struct http1_head *h, const char *base, const char *name)
{
    const struct http1_header *found = http1_find_name(h, base, name, strlen(name));
    return found ? part_of_span(base, found->value) : (struct key_part){0};
}

/* Path and query as they came: the query follows the path in the target. */
static struct key_part find_uri(const struct http1_head *h, const char *base)
{
    struct key_part uri = part_of_span(base, h->path);
    if (uri.len && h->query.len)
        uri.len = (size_t)(base + h->query.off + h->query.len - uri.at);
    return uri.len ? uri : part_of_span(base, h->target);
}

struct key_part key_part_find(const struct http1_head *h, const char *base, const char *what)
{
    if (strcmp(what, "uri") == 0)
        return find_uri(h, base);
    if (strcmp(what, "path") == 0)
        return part_of_span(base, h->path);
    if (strcmp(what, "host") == 0)
        return part_of_span(base, h->authority);
    if (strncmp(what, "header:", 7) == 0)
        return find_header(h, base, what + 7);
    if (strncmp(what, "cookie:", 7) == 0)
        return key_cookie(h, base, what + 7);
    return (struct key_part){0}; /* client_ip */
}

/* Host names are the same in any case (RFC 9110 4.2.3); long ones count by their beginning. */
uint64_t key_hash_host(struct hash_key key, struct key_part host)
{
    char lower[256];
    size_t n = host.len < sizeof lower ? host.len : sizeof lower;
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)(host.at[i] >= 'A' && host.at[i] <= 'Z' ? host.at[i] + 32 : host.at[i]);
    return hash_bytes(key, lower, n);
}

uint64_t key_hash_part(struct key_part part)
{
    return hash_bytes(place, part.at, part.len);
}

uint64_t key_hash_part_host(struct key_part part)
{
    return key_hash_host(place, part);
}

uint64_t key_hash_request(const char *what, const struct http1_head *head, const char *base,
                          const uint8_t *ip, size_t ip_len)
{
    struct key_part part = {0};
    if (head)
        part = key_part_find(head, base, what);
    if (part.len == 0)
        return hash_bytes(place, ip, ip_len);
    if (strcmp(what, "host") == 0)
        return key_hash_part_host(part);
    return key_hash_part(part);
}
