#include "worker/vars.h"

#include <string.h>
#include "base/digits.h"
#include "conf/route_hosts.h"
#include "worker/peer.h"

#define REQUEST_ID_MAX 128u

/* ---- who and how ---- */

/* The last address of a list that ends at `end`; false when it is none. Moves *end before it. */
static bool last_address(const char *from, const char **end, struct net_addr *out)
{
    char text[64];
    const char *stop = *end, *at;
    while (stop > from && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == ','))
        stop--;
    for (at = stop; at > from && at[-1] != ',';)
        at--;
    *end = at;
    while (at < stop && (*at == ' ' || *at == '\t'))
        at++;
    size_t len = (size_t)(stop - at);
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, at, len);
    text[len] = '\0';
    struct net_cidr one;
    if (net_cidr_parse(text, &one) == -1)
        return false;
    struct peer p = {.family = one.family};
    memcpy(p.ip, one.bytes, sizeof p.ip);
    peer_to_addr(&p, out);
    return true;
}

static bool is_trusted(const struct conf_listener *l, const struct net_addr *a)
{
    for (uint32_t i = 0; i < l->trusted_count; i++)
        if (net_cidr_match(&l->trusted[i], a))
            return true;
    return false;
}

void vars_client(const struct txn *t, const struct http1_head *h, const char *base,
                 struct net_addr *out)
{
    peer_to_addr(&t->conn->peer, out);
    if (!(h->present & 1ull << HTTP1_H_X_FORWARDED_FOR) ||
        !peer_trusted(&t->conn->peer, t->listener))
        return;
    for (uint32_t i = h->count; i-- > 0;) {
        const struct http1_header *f = &h->headers[i];
        const char *from = base + f->value.off, *end = from + f->value.len;
        struct net_addr found;
        while (f->id == HTTP1_H_X_FORWARDED_FOR && end > from) {
            if (!last_address(from, &end, &found))
                return;
            *out = found;
            if (!is_trusted(t->listener, &found))
                return;
        }
    }
}

const char *vars_scheme(const struct txn *t, const struct http1_head *h, const char *base)
{
    const struct http1_header *f = http1_find(h, HTTP1_H_X_FORWARDED_PROTO);
    if (!f || !peer_trusted(&t->conn->peer, t->listener))
        return t->conn->secure ? "https" : "http";
    return f->value.len == 5 && memcmp(base + f->value.off, "https", 5) == 0 ? "https" : "http";
}

const char *vars_request_id(struct txn *t, const struct http1_head *h, const char *base,
                            uint32_t *len)
{
    const struct http1_header *theirs = http1_find(h, HTTP1_H_X_REQUEST_ID);
    if (theirs && theirs->value.len > 0 && theirs->value.len <= REQUEST_ID_MAX) {
        *len = theirs->value.len;
        return base + theirs->value.off;
    }
    *len = sizeof t->made_id;
    if (t->made_id[0])
        return t->made_id;
    _Static_assert(sizeof t->made_id == 32, "two words");
    digits_hex(t->made_id, worker_random(t->worker));
    digits_hex(t->made_id + 16, worker_random(t->worker));
    return t->made_id;
}

/* ---- parts ---- */

struct piece {
    const char *at;
    uint32_t len;
};

static struct piece of_span(const struct vars *v, struct http1_span s)
{
    return (struct piece){v->base + s.off, s.len};
}

static struct piece of_text(const char *text)
{
    return (struct piece){text, (uint32_t)strlen(text)};
}

static struct piece path_as_sent(const struct vars *v)
{
    return v->head->path.len ? of_span(v, v->head->path) : of_text("/");
}

/* Path and query lie side by side in the target. */
static struct piece uri_as_sent(const struct vars *v)
{
    const struct http1_head *h = v->head;
    struct piece p = path_as_sent(v);
    if (h->path.len && h->query.len)
        p.len = h->query.off + h->query.len - h->path.off;
    return p;
}

static struct piece client_ip(const struct vars *v)
{
    static char text[NET_ADDR_STRLEN];
    struct net_addr a;
    vars_client(v->t, v->head, v->base, &a);
    if (a.u.sa.sa_family != AF_INET && a.u.sa.sa_family != AF_INET6)
        return of_text("unix");
    return of_text(net_addr_format_host(&a, text, sizeof text));
}

static struct piece host(const struct vars *v)
{
    static char text[ROUTE_HOST_BYTES];
    uint32_t len = route_host_of(v->base + v->head->authority.off, v->head->authority.len, text);
    return (struct piece){text, len};
}

static struct piece request_id(const struct vars *v)
{
    struct piece p;
    p.at = vars_request_id(v->t, v->head, v->base, &p.len);
    return p;
}

static struct piece value_of(const struct vars *v, const struct template_part *p)
{
    switch ((enum template_kind)p->kind) {
    case TEMPLATE_TEXT: return (struct piece){p->text, p->len};
    case TEMPLATE_SCHEME: return of_text(vars_scheme(v->t, v->head, v->base));
    case TEMPLATE_HOST: return host(v);
    case TEMPLATE_AUTHORITY: return of_span(v, v->head->authority);
    case TEMPLATE_URI: return uri_as_sent(v);
    case TEMPLATE_PATH: return path_as_sent(v);
    case TEMPLATE_QUERY: return of_span(v, v->head->query);
    case TEMPLATE_METHOD: return of_span(v, v->head->method);
    case TEMPLATE_CLIENT_IP: return client_ip(v);
    case TEMPLATE_REQUEST_ID: return request_id(v);
    default: return (struct piece){"", 0};
    }
}

bool vars_append_path(struct buf *out, const struct uri_path *path, uint32_t from, uint32_t len)
{
    uint32_t n = uri_path_write(path, from, len, out->data + out->end, buf_room(out));
    if (n == UINT32_MAX)
        return false;
    out->end += n;
    return true;
}

/* Parts of the path as it was read: written as they stand in a URI. */
static bool append_read(struct buf *out, const struct template_part *p, const struct vars *v)
{
    const struct route_match *m = v->match;
    struct http1_span s = {0, 0};
    if (m && p->kind == TEMPLATE_CAPTURE && p->capture < m->capture_count)
        s = m->captures[p->capture];
    if (m && p->kind == TEMPLATE_TAIL) {
        uint32_t skip = m->entry ? m->entry->path_len : 0;
        s = (struct http1_span){skip, m->path.literal_len - skip};
    }
    return vars_append_path(out, &m->path, s.off, s.len);
}

bool vars_append(struct buf *out, const struct conf_template *t, const struct vars *v)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const struct template_part *p = &t->parts[i];
        if (p->kind == TEMPLATE_CAPTURE || p->kind == TEMPLATE_TAIL) {
            if (v->match && !append_read(out, p, v))
                return false;
            continue;
        }
        struct piece piece = value_of(v, p);
        if (buf_room(out) < piece.len)
            return false;
        buf_append(out, piece.at, piece.len);
    }
    return true;
}
