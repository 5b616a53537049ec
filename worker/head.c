/* worker/head.c */
#include "worker/head.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "conf/compress.h"
#include "conf/route.h"
#include "worker/cache.h"
#include "worker/compress.h"
#include "worker/edits.h"
#include "worker/forged.h"
#include "worker/forwarded.h"
#include "worker/vars.h"
#include "worker/peer.h"
#include "worker/proxy_out.h"
#include "worker/rate_limit.h"
#include "worker/sticky.h"
#include "worker/trace.h"

#define BIT(id) (1ull << (id))
/* Frame or address the message: kept whatever Connection names. */
#define KEPT_ALWAYS (BIT(HTTP1_H_HOST) | BIT(HTTP1_H_CONTENT_LENGTH))
/* Written anew in every request. */
#define REPLACED                                                                                   \
    (BIT(HTTP1_H_X_FORWARDED_FOR) | BIT(HTTP1_H_X_FORWARDED_PROTO) |                               \
     BIT(HTTP1_H_X_FORWARDED_HOST) | BIT(HTTP1_H_X_REAL_IP) | BIT(HTTP1_H_X_REQUEST_ID))
#define CONNECTION_OWN                                                                             \
    (BIT(HTTP1_H_CONNECTION) | BIT(HTTP1_H_KEEP_ALIVE) | BIT(HTTP1_H_PROXY_CONNECTION) |           \
     BIT(HTTP1_H_UPGRADE) | BIT(HTTP1_H_TE))

static void add(struct buf *out, const char *bytes, size_t len)
{
    buf_append(out, bytes, len);
}

#define ADD_LITERAL(out, text) add((out), (text), sizeof(text) - 1)

static void add_span(struct buf *out, const char *base, struct http1_span s)
{
    add(out, base + s.off, s.len);
}

static void add_field(struct buf *out, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    add(out, name, name_len);
    add(out, value, value_len);
    ADD_LITERAL(out, "\r\n");
}

#define ADD_FIELD(out, name, value, len)                                                           \
    add_field((out), name ": ", sizeof(name ": ") - 1, (value), (len))

static bool named_with(const struct http1_header *f, const char *base, const char *prefix)
{
    return prefix && (base[f->name.off] | 0x20) == *prefix && f->name.len >= strlen(prefix) &&
           strncasecmp(base + f->name.off, prefix, strlen(prefix)) == 0;
}

/* Copies the fields for which dropped() is false and whose name does not begin with `but` (lower
 * case, or NULL), a run of neighbours at a time. */
static void copy_fields(struct buf *out, const struct http1_head *h, const char *base,
                        bool (*dropped)(const struct txn *, const struct http1_header *),
                        const struct txn *t, const struct conf_edits *edits, const char *but,
                        bool from_client)
{
    uint32_t lines_end = h->head_bytes - 2; /* before the empty line */
    uint32_t run = UINT32_MAX;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        bool drop = f->id != HTTP1_H_OTHER || f->hop ? dropped(t, f) : named_with(f, base, but);
        if (from_client)
            drop |= forged_field(f, base);
        if (UNLIKELY(t->cache != NULL))
            drop |= cache_drops(t, f, base);
        if (edits)
            drop |= edits_drop(edits, f, base);
        if (UNLIKELY(t->recoded))
            drop |= compress_drops(t, f, base);
        if (UNLIKELY(t->trace_due))
            drop |= trace_drops(f, base);
        if (drop && run != UINT32_MAX) {
            add(out, base + run, f->name.off - run);
            run = UINT32_MAX;
        } else if (!drop && run == UINT32_MAX) {
            run = f->name.off;
        }
    }
    if (run != UINT32_MAX)
        add(out, base + run, lines_end - run);
}

/* ---- requests
 * -------------------------------------------------------------------------------------------------
 */

static bool request_drops(const struct txn *t, const struct http1_header *f)
{
    if (UNLIKELY(sticky_hides(t, f)))
        return true;
    uint64_t bit = BIT(f->id);
    if (bit & KEPT_ALWAYS)
        return false;
    if (f->id == HTTP1_H_TRANSFER_ENCODING)
        return t->req_body != HTTP1_BODY_CHUNKED;
    if (f->id == HTTP1_H_FORWARDED)
        return forwarded_drops(t);
    if (f->id == HTTP1_H_ACCEPT_ENCODING && t->route->compress && t->route->compress->offload)
        return true;
    return f->hop || (bit & (REPLACED | CONNECTION_OWN));
}

/* With an absolute-form target its authority replaces the Host field (RFC 9112 3.2.2). */
static bool request_drops_host(const struct txn *t, const struct http1_header *f)
{
    return f->id == HTTP1_H_HOST || request_drops(t, f);
}

/* The origin-form of an absolute-form target; without a path it is "/", for OPTIONS "*" (RFC
 * 9112 3.2.4). */
static void add_origin_form(struct buf *out, const struct http1_head *h, const char *base)
{
    bool options = h->method.len == 7 && memcmp(base + h->method.off, "OPTIONS", 7) == 0;
    if (h->path.len)
        add_span(out, base, h->path);
    else if (options && h->query.len == 0)
        ADD_LITERAL(out, "*");
    else
        ADD_LITERAL(out, "/");
    if (h->query.len) {
        ADD_LITERAL(out, "?");
        add_span(out, base, h->query);
    }
}

static void add_request_line(struct buf *out, const struct http1_head *h, const char *base,
                             struct buf *target)
{
    add_span(out, base, h->method);
    ADD_LITERAL(out, " ");
    if (target)
        add(out, buf_at(target), buf_len(target));
    else if (h->absolute_form)
        add_origin_form(out, h, base);
    else
        add_span(out, base, h->target);
    ADD_LITERAL(out, " HTTP/1.1\r\n");
}

static void add_forwarded_for(struct buf *out, const struct http1_head *h, const char *base,
                              const char *ip, uint32_t ip_len)
{
    ADD_LITERAL(out, "X-Forwarded-For: ");
    if (h->present & BIT(HTTP1_H_X_FORWARDED_FOR))
        for (uint32_t i = 0; i < h->count; i++)
            if (h->headers[i].id == HTTP1_H_X_FORWARDED_FOR && h->headers[i].value.len) {
                add_span(out, base, h->headers[i].value);
                ADD_LITERAL(out, ", ");
            }
    add(out, ip, ip_len);
    ADD_LITERAL(out, "\r\n");
}

/* The field as a trusted proxy before us set it, else our own value. */
static void add_or_keep(struct buf *out, const struct http1_head *h, const char *base,
                        enum http1_header_id id, bool trusted, const char *name, const char *value,
                        size_t len)
{
    const struct http1_header *theirs = trusted ? http1_find(h, id) : NULL;
    add(out, name, strlen(name));
    if (theirs)
        add_span(out, base, theirs->value);
    else
        add(out, value, len);
    ADD_LITERAL(out, "\r\n");
}

/* As a trusted proxy said it; else whom it names in X-Forwarded-For, or the peer. */
static void add_real_ip(const struct txn *t, struct buf *out, const struct http1_head *h,
                        const char *base, bool trusted, const char *ip, uint32_t ip_len)
{
    char named[NET_ADDR_STRLEN];
    struct net_addr a;
    if (trusted && h->present & BIT(HTTP1_H_X_FORWARDED_FOR)) {
        vars_client(t, h, base, &a);
        if (a.u.sa.sa_family == AF_INET || a.u.sa.sa_family == AF_INET6) {
            ip = net_addr_format_host(&a, named, sizeof named);
            ip_len = (uint32_t)strlen(ip);
        }
    }
    add_or_keep(out, h, base, HTTP1_H_X_REAL_IP, trusted, "X-Real-IP: ", ip, ip_len);
}

static void add_proxy_fields(struct txn *t, struct buf *out, const struct http1_head *h,
                             const char *base)
{
    uint32_t ip_len;
    const char *ip = peer_text(t->worker, &t->conn->peer, &ip_len);
    bool trusted = peer_trusted(&t->conn->peer, t->listener);
    const char *host = base + h->authority.off;
    const struct conf_edits *edits = t->route->request_edits;
    uint32_t id_len;
    const char *id = vars_request_id(t, h, base, &id_len);
    if (!edits_drop_id(edits, HTTP1_H_X_FORWARDED_FOR))
        add_forwarded_for(out, h, base, ip, ip_len);
    if (!edits_drop_id(edits, HTTP1_H_X_FORWARDED_PROTO))
        add_or_keep(out, h, base, HTTP1_H_X_FORWARDED_PROTO, trusted,
                    "X-Forwarded-Proto: ", t->conn->secure ? "https" : "http",
                    t->conn->secure ? 5 : 4);
    if (!edits_drop_id(edits, HTTP1_H_X_FORWARDED_HOST) &&
        (h->authority.len || (trusted && h->present & BIT(HTTP1_H_X_FORWARDED_HOST))))
        add_or_keep(out, h, base, HTTP1_H_X_FORWARDED_HOST, trusted, "X-Forwarded-Host: ", host,
                    h->authority.len);
    if (!edits_drop_id(edits, HTTP1_H_X_REAL_IP))
        add_real_ip(t, out, h, base, trusted, ip, ip_len);
    if (!edits_drop_id(edits, HTTP1_H_X_REQUEST_ID))
        ADD_FIELD(out, "X-Request-ID", id, id_len);
    if (UNLIKELY(t->listener->forwarded == CONF_FORWARDED_SET) &&
        !edits_drop_id(edits, HTTP1_H_FORWARDED))
        forwarded_append(t, out, h, base);
}

static void add_upgrade(struct buf *out, const struct http1_head *h, const char *base)
{
    ADD_LITERAL(out, "Connection: Upgrade\r\n");
    for (uint32_t i = 0; i < h->count; i++)
        if (h->headers[i].id == HTTP1_H_UPGRADE)
            ADD_FIELD(out, "Upgrade", base + h->headers[i].value.off, h->headers[i].value.len);
}

/* Who names no host (HTTP/1.0) asks for the address that it connected to; a backend that speaks
 * HTTP/1.1 refuses an empty Host. */
void head_add_host(struct txn *t, struct buf *out, const struct http1_head *h, const char *base)
{
    char text[NET_ADDR_STRLEN] = "localhost";
    struct net_addr own;
    if (h->authority.len) {
        ADD_FIELD(out, "Host", base + h->authority.off, h->authority.len);
        return;
    }
    proxy_out_know_destination(t->conn);
    peer_to_addr(&t->conn->dest, &own);
    if (own.u.sa.sa_family == AF_INET || own.u.sa.sa_family == AF_INET6)
        net_addr_format(&own, text, sizeof text);
    ADD_FIELD(out, "Host", text, strlen(text));
}

/* Room for the head and whatever is added to it; *own: what edits and a new target take. */
static struct buf *request_buffer(struct txn *t, const struct http1_head *h)
{
    const struct conf_edits *edits = t->route->request_edits;
    uint32_t own = (t->target ? buf_len(t->target) : 0) + (t->claims ? buf_len(t->claims) : 0);
    own += t->conn->identity ? HEAD_IDENTITY_BYTES : 0;
    own += t->revalidates ? CACHE_CONDITIONS_BYTES : 0;
    own += forwarded_bytes(t, h);
    if (edits && template_is_text(&edits->block))
        own += edits->block.count ? edits->block.parts[0].len : 0;
    else if (edits)
        own += BUF_SMALL_BYTES;
    /* own fields may be repeated: Host twice, X-Forwarded-For joined */
    uint32_t need = 2 * h->head_bytes + HEAD_ADDED_BYTES + own;
    struct buf *out = buf_get(&t->worker->bufs, need + t->req_keep_bytes > BUF_SMALL_BYTES - 128);
    if (out && need > buf_room(out) &&
        h->head_bytes + HEAD_ADDED_BYTES + 3 * h->authority.len + own > buf_room(out)) {
        buf_put(&t->worker->bufs, out);
        return NULL;
    }
    return out;
}

/* Who the client is says its certificate, or a trusted proxy before us; never the client. */
static bool keeps_identity(const struct txn *t)
{
    return t->listener->trusted_count && !t->conn->identity &&
           peer_trusted(&t->conn->peer, t->listener);
}

int head_build_request(struct txn *t, const struct http1_head *h)
{
    const char *base = buf_at(t->conn->in);
    const struct conf_edits *edits = t->route->request_edits;
    struct buf *out = t->up_head = request_buffer(t, h);
    if (!out)
        return -1;
    add_request_line(out, h, base, t->target);
    if ((h->absolute_form || !(h->present & BIT(HTTP1_H_HOST))) &&
        !edits_drop_id(edits, HTTP1_H_HOST))
        head_add_host(t, out, h, base);
    copy_fields(out, h, base, h->absolute_form ? request_drops_host : request_drops, t, edits,
                keeps_identity(t) ? NULL : "x-client-cert-", true);
    if (t->stick_hide)
        sticky_add_cookies(t, out, h, base);
    add_proxy_fields(t, out, h, base);
    if (UNLIKELY(t->trace_due))
        trace_append(t, out);
    if (t->conn->identity)
        add(out, t->conn->identity, strlen(t->conn->identity));
    if (edits && !edits_append_request(t, out, h, base))
        return -1;
    if (UNLIKELY(t->revalidates)) {
        char conditions[CACHE_CONDITIONS_BYTES];
        size_t len = cache_conditions(t, conditions);
        if (buf_room(out) < len)
            return -1;
        add(out, conditions, len);
    }
    if (t->claims && buf_room(out) < buf_len(t->claims))
        return -1;
    if (t->claims)
        add(out, buf_at(t->claims), buf_len(t->claims));
    if (h->upgrade)
        add_upgrade(out, h, base);
    if (buf_room(out) < 2)
        return -1;
    ADD_LITERAL(out, "\r\n");
    return 0;
}

bool head_accepts_html(const struct http1_head *h, const char *bytes)
{
    const struct http1_header *accept = http1_find(h, HTTP1_H_ACCEPT);
    return accept && memmem(bytes + accept->value.off, accept->value.len, "text/html", 9) != NULL;
}

/* ---- responses
 * ------------------------------------------------------------------------------------------------
 */

static bool response_drops(const struct txn *t, const struct http1_header *f)
{
    uint64_t bit = BIT(f->id);
    if (bit & KEPT_ALWAYS)
        return false;
    if (f->id == HTTP1_H_TRANSFER_ENCODING)
        return t->res_out == BODY_DECHUNK;
    return f->hop || (bit & (CONNECTION_OWN & ~BIT(HTTP1_H_TE)));
}

const char *head_hsts(const struct txn *t)
{
    return t->conn->secure && t->listener->tls ? t->listener->tls->hsts : "";
}

bool head_response_as_is(const struct txn *t, const struct http1_head *h)
{
    if (t->client_close || t->req_http10 || head_hsts(t)[0] || t->res_out != BODY_AS_IS ||
        h->minor == 0 || h->status == 101 || t->route->response_edits || t->recoded || t->cache ||
        rate_limit_tells(t) || sticky_tells(t))
        return false;
    for (uint32_t i = 0; i < h->count; i++)
        if (h->headers[i].hop || (BIT(h->headers[i].id) & CONNECTION_OWN))
            if (response_drops(t, &h->headers[i]))
                return false;
    return true;
}

static void add_status_line(struct buf *out, const struct http1_head *h, const char *base)
{
    char status[] = "HTTP/1.1 000 ";
    for (uint32_t i = 0, left = h->status; i < 3; i++, left /= 10)
        status[sizeof "HTTP/1.1 " + 1 - i] = (char)('0' + left % 10);
    add(out, status, sizeof status - 1);
    add_span(out, base, h->reason);
    ADD_LITERAL(out, "\r\n");
}

/* It has no body that anything could frame (RFC 9110 8.6, 15.2). */
static bool interim_drops(const struct txn *t UNUSED, const struct http1_header *f)
{
    return f->hop || (BIT(f->id) & (CONNECTION_OWN | BIT(HTTP1_H_TRANSFER_ENCODING) |
                                    BIT(HTTP1_H_CONTENT_LENGTH)));
}

void head_build_interim(struct txn *t, const struct http1_head *h)
{
    const char *base = buf_at(t->rbuf);
    add_status_line(t->head_out, h, base);
    copy_fields(t->head_out, h, base, interim_drops, t, NULL, NULL, false);
    ADD_LITERAL(t->head_out, "\r\n");
}

uint32_t head_response_bytes(const struct txn *t, const struct http1_head *h)
{
    const struct conf_edits *edits = t->route->response_edits;
    return h->head_bytes + HEAD_ADDED_BYTES + (edits ? edits_bytes(t, &edits->block) : 0) +
           (sticky_tells(t) ? STICKY_FIELDS_BYTES : 0) + (t->cache ? CACHE_FIELDS_BYTES : 0) +
           (t->recoded ? COMPRESS_FIELDS_BYTES : 0);
}

int head_build_response(struct txn *t, const struct http1_head *h)
{
    const char *base = buf_at(t->rbuf);
    struct buf *out = t->head_out;
    const struct conf_edits *edits = t->route->response_edits;
    if (!out || buf_room(out) < head_response_bytes(t, h))
        return -1;
    add_status_line(out, h, base);
    const char *hsts = head_hsts(t);
    copy_fields(out, h, base, response_drops, t, edits, *hsts ? "strict-transport-security" : NULL,
                false);
    add(out, hsts, strlen(hsts));
    if (edits)
        edits_append(t, out, &edits->block);
    if (t->recoded)
        compress_append(t, out, h, base);
    if (t->res_out == BODY_ENCHUNK)
        ADD_LITERAL(out, "Transfer-Encoding: chunked\r\n");
    if (sticky_tells(t)) {
        char fields[STICKY_FIELDS_BYTES];
        add(out, fields, sticky_fields(t, fields));
    }
    if (UNLIKELY(t->cache != NULL)) {
        char fields[CACHE_FIELDS_BYTES];
        add(out, fields, cache_fields(t, fields));
    }
    if (rate_limit_tells(t)) {
        char fields[RATE_LIMIT_FIELDS_BYTES];
        add(out, fields, rate_limit_fields(t, fields));
    }
    if (h->status == 101)
        add_upgrade(out, h, base);
    else if (t->client_close)
        ADD_LITERAL(out, "Connection: close\r\n");
    else if (t->req_http10)
        ADD_LITERAL(out, "Connection: keep-alive\r\n");
    ADD_LITERAL(out, "\r\n");
    return 0;
}
