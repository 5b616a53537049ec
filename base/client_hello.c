#include "base/client_hello.h"

#include <string.h>

#define RECORD_HEAD    5u
#define RECORD_MAX     16384u
#define HANDSHAKE      22u
#define MESSAGE_HEAD   4u
#define HELLO          1u
#define EXT_HOST       0u
#define EXT_ALPN       16u
#define RANDOM_VERSION 34u /* legacy_version and random */

/* The message behind the heads of its records, or a part of it. */
struct span {
    const uint8_t *at;  /* next byte */
    uint32_t in_record; /* bytes left in this record */
    uint32_t left;      /* bytes left in the part */
    bool broken;        /* something reached beyond the part */
};

static enum client_hello_result fail(struct client_hello *h, const char *why)
{
    h->error = why;
    return CLIENT_HELLO_ERROR;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* ---- reading across records ---- */

/* Copies n bytes; out NULL passes over them. */
static void take(struct span *s, uint8_t *out, uint32_t n)
{
    s->broken |= n > s->left;
    if (s->broken)
        return;
    s->left -= n;
    while (n > 0) {
        if (s->in_record == 0) {
            s->in_record = get16(s->at + 3);
            s->at += RECORD_HEAD;
        }
        uint32_t run = n < s->in_record ? n : s->in_record;
        if (out) {
            memcpy(out, s->at, run);
            out += run;
        }
        s->at += run;
        s->in_record -= run;
        n -= run;
    }
}

static uint32_t take_number(struct span *s, unsigned bytes)
{
    uint8_t raw[3] = {0};
    uint32_t n = 0;
    take(s, raw, bytes);
    for (unsigned i = 0; i < bytes; i++)
        n = n << 8 | raw[i];
    return s->broken ? 0 : n;
}

/* The part behind a length of so many bytes; s goes on after it. */
static struct span take_part(struct span *s, unsigned length_bytes)
{
    uint32_t n = take_number(s, length_bytes);
    struct span part = *s;
    part.left = n;
    take(s, NULL, n);
    part.broken = s->broken;
    return part;
}

/* ---- what it says ---- */

static bool put_host(struct client_hello *h, struct span *name)
{
    uint32_t n = name->left;
    if (n == 0 || n >= sizeof h->host)
        return false;
    take(name, (uint8_t *)h->host, n);
    h->host_len = n - (n > 1 && h->host[n - 1] == '.');
    h->host[h->host_len] = '\0';
    for (uint32_t i = 0; i < h->host_len; i++) {
        unsigned char c = (unsigned char)h->host[i];
        if (c <= ' ' || c >= 0x7f)
            return false;
        if (c >= 'A' && c <= 'Z')
            h->host[i] = (char)(c + 32);
    }
    return true;
}

/* RFC 6066 section 3: a list with one name of type host_name. */
static bool read_host(struct client_hello *h, struct span *extension)
{
    struct span list = take_part(extension, 2);
    if (list.left == 0)
        return false;
    while (list.left > 0 && !list.broken) {
        uint32_t type = take_number(&list, 1);
        struct span name = take_part(&list, 2);
        if (list.broken || (type == 0 && (h->host_len || !put_host(h, &name))))
            return false;
    }
    return !list.broken && extension->left == 0;
}

/* RFC 7301: those that find no room are as if they were not offered. */
static bool read_alpn(struct client_hello *h, struct span *extension)
{
    struct span list = take_part(extension, 2);
    if (list.left == 0)
        return false;
    while (list.left > 0 && !list.broken) {
        struct span name = take_part(&list, 1);
        uint32_t n = name.left;
        if (list.broken || n == 0)
            return false;
        if (n >= sizeof h->alpn - h->alpn_len)
            continue;
        h->alpn[h->alpn_len] = (uint8_t)n;
        take(&name, h->alpn + h->alpn_len + 1, n);
        h->alpn_len += n + 1;
    }
    return !list.broken && extension->left == 0;
}

static bool read_extensions(struct client_hello *h, struct span *all)
{
    bool host = false, alpn = false;
    while (all->left > 0 && !all->broken) {
        uint32_t type = take_number(all, 2);
        struct span extension = take_part(all, 2);
        if (all->broken || (type == EXT_HOST && host) || (type == EXT_ALPN && alpn))
            return false;
        host |= type == EXT_HOST;
        alpn |= type == EXT_ALPN;
        if ((type == EXT_HOST && !read_host(h, &extension)) ||
            (type == EXT_ALPN && !read_alpn(h, &extension)))
            return false;
    }
    return !all->broken;
}

static enum client_hello_result read_message(struct client_hello *h, const uint8_t *bytes,
                                             uint32_t total)
{
    struct span s = {.at = bytes, .left = total};
    take(&s, NULL, MESSAGE_HEAD + RANDOM_VERSION);
    struct span session = take_part(&s, 1), ciphers = take_part(&s, 2),
                compression = take_part(&s, 1);
    if (s.broken || session.left > 32 || ciphers.left < 2 || ciphers.left % 2 ||
        compression.left == 0)
        return fail(h, "malformed ClientHello");
    if (s.left == 0) /* TLS before 1.3 may send no extensions */
        return CLIENT_HELLO_DONE;
    struct span extensions = take_part(&s, 2);
    if (s.broken || s.left > 0 || !read_extensions(h, &extensions))
        return fail(h, "malformed extensions in a ClientHello");
    return CLIENT_HELLO_DONE;
}

/* ---- how far it has come ---- */

/* So many bytes of the message are here: all of it? */
static enum client_hello_result measure(struct client_hello *h, const uint8_t *bytes,
                                        uint32_t payload, uint32_t *total)
{
    struct span head = {.at = bytes, .left = payload < MESSAGE_HEAD ? payload : MESSAGE_HEAD};
    if (payload == 0)
        return CLIENT_HELLO_MORE;
    if (take_number(&head, 1) != HELLO)
        return fail(h, "the first message is no ClientHello");
    if (payload < MESSAGE_HEAD)
        return CLIENT_HELLO_MORE;
    *total = MESSAGE_HEAD + take_number(&head, 3);
    if (*total > CLIENT_HELLO_MESSAGE_MAX)
        return fail(h, "ClientHello too long");
    return payload >= *total ? CLIENT_HELLO_DONE : CLIENT_HELLO_MORE;
}

static enum client_hello_result check_record(struct client_hello *h, const uint8_t *record,
                                             size_t have, bool first)
{
    if (record[0] != HANDSHAKE || (have > 1 && record[1] != 3))
        return first ? CLIENT_HELLO_NONE : fail(h, "no handshake record");
    if (have < RECORD_HEAD)
        return CLIENT_HELLO_MORE;
    uint32_t n = get16(record + 3);
    if (n == 0 || n > RECORD_MAX)
        return fail(h, "malformed length of a record");
    return CLIENT_HELLO_DONE;
}

/* Looks at the records up to the end of the message. */
static enum client_hello_result walk(struct client_hello *h, const uint8_t *bytes, size_t len,
                                     uint32_t *total)
{
    uint32_t at = 0, payload = 0;
    for (unsigned records = 0; at < len; records++) {
        const uint8_t *record = bytes + at;
        size_t have = len - at;
        if (records == CLIENT_HELLO_RECORDS_MAX)
            return fail(h, "ClientHello in too many records");
        enum client_hello_result r = check_record(h, record, have, records == 0);
        if (r != CLIENT_HELLO_DONE)
            return r;
        uint32_t n = get16(record + 3);
        bool whole = have - RECORD_HEAD >= n;
        payload += whole ? n : (uint32_t)have - RECORD_HEAD;
        r = measure(h, bytes, payload, total);
        if (r != CLIENT_HELLO_MORE || !whole)
            return r;
        at += RECORD_HEAD + n;
    }
    return CLIENT_HELLO_MORE;
}

enum client_hello_result client_hello_read(struct client_hello *h, const void *bytes, size_t len)
{
    uint32_t total = 0;
    memset(h, 0, sizeof *h);
    enum client_hello_result r = walk(h, bytes, len, &total);
    return r == CLIENT_HELLO_DONE ? read_message(h, bytes, total) : r;
}

bool client_hello_offers(const struct client_hello *h, const char *name, size_t len)
{
    for (uint32_t at = 0; at < h->alpn_len; at += h->alpn[at] + 1u)
        if (h->alpn[at] == len && memcmp(h->alpn + at + 1, name, len) == 0)
            return true;
    return false;
}
