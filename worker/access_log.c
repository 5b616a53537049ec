/* worker/access_log.c */
#include "worker/access_log.h"

#include <arpa/inet.h>
#include <string.h>
#include "base/clock.h"
#include "base/traceparent.h"
#include "worker/access_format.h"
#include "worker/access_sink.h"
#include "worker/peer.h"
#include "worker/vars.h"

/* More than a line shows of each. */
#define METHOD_MAX 80u
#define TARGET_MAX 1408u
#define HOST_MAX   256u
#define AGENT_MAX  512u
#define ID_MAX     128u
_Static_assert(METHOD_MAX + TARGET_MAX + HOST_MAX + 2 * AGENT_MAX + ID_MAX <= ACCESS_NOTE_BYTES,
               "all of it fits");

void access_begin(struct txn *t)
{
    struct access_note *n = slab_get(&t->worker->note_slab);
    if (!n)
        return; /* without memory there is no line */
    memset(n, 0, offsetof(struct access_note, text));
    n->entry = INDEX_NONE;
    n->client = t->conn->peer;
    n->backend_us = UINT64_MAX;
    t->note = n;
}

/* Appends to the text; returns the length that was kept. */
static uint16_t keep(struct access_note *n, uint32_t *at, const char *from, uint32_t len,
                     uint32_t most)
{
    if (len > most)
        len = most;
    memcpy(n->text + *at, from, len);
    *at += len;
    return (uint16_t)len;
}

static uint16_t keep_field(struct access_note *n, uint32_t *at, const struct http1_head *h,
                           const char *base, enum http1_header_id id, uint32_t most)
{
    const struct http1_header *f = http1_find(h, id);
    return f ? keep(n, at, base + f->value.off, f->value.len, most) : 0;
}

static uint16_t keep_target(struct access_note *n, uint32_t *at, const struct http1_head *h,
                            const char *base)
{
    struct http1_span s = h->target;
    if (h->absolute_form && h->path.len) {
        s = h->path;
        if (h->query.len)
            s.len = h->query.off + h->query.len - s.off;
    }
    return keep(n, at, base + s.off, s.len, TARGET_MAX);
}

void access_note_head(struct txn *t, const struct http1_head *h, const char *base)
{
    struct access_note *n = t->note;
    uint32_t at = 0, id_len;
    n->head = true;
    n->minor = h->minor;
    n->method_len = keep(n, &at, base + h->method.off, h->method.len, METHOD_MAX);
    n->target_len = keep_target(n, &at, h, base);
    n->host_len = keep(n, &at, base + h->authority.off, h->authority.len, HOST_MAX);
    n->agent_len = keep_field(n, &at, h, base, HTTP1_H_USER_AGENT, AGENT_MAX);
    n->referer_len = keep_field(n, &at, h, base, HTTP1_H_REFERER, AGENT_MAX);
    const char *id = vars_request_id(t, h, base, &id_len);
    n->id_len = keep(n, &at, id, id_len, ID_MAX);
    if (t->listener->trusted_count) {
        struct net_addr client;
        vars_client(t, h, base, &client);
        peer_from_addr(&n->client, &client);
    }
}

void access_note_sent(struct txn *t)
{
    t->note->entry = t->entry;
    t->note->incarnation = word_get(&entry_at(t->worker->table, t->entry)->incarnation);
}

void access_note_response(struct txn *t, uint64_t took_us)
{
    t->note->backend_us = took_us;
}

/* ---- the line ---- */

/* NULL: nobody was asked, or the place has been given to another backend meanwhile. */
static const char *backend_of(const struct txn *t)
{
    const struct access_note *n = t->note;
    if (n->entry == INDEX_NONE)
        return NULL;
    const struct entry *e = entry_at(t->worker->table, n->entry);
    return word_get(&e->incarnation) == n->incarnation ? e->name : NULL;
}

static struct access_text take(const struct access_note *n, uint32_t *at, uint16_t len)
{
    struct access_text t = {n->text + *at, len};
    *at += len;
    return n->head && len ? t : (struct access_text){0};
}

static const char *protocol_of(const struct txn *t)
{
    if (t->conn->protocol != CONF_HTTP)
        return conf_protocol_name((enum conf_protocol)t->conn->protocol);
    if (t->conn->is_stream)
        return "HTTP/2.0";
    return t->note->head && t->note->minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

static const char *tls_version(const struct conn *c)
{
    return c->tls_version;
}

static void fill_head(const struct access_note *n, struct access_line *l)
{
    uint32_t at = 0;
    l->method = take(n, &at, n->method_len);
    l->target = take(n, &at, n->target_len);
    l->host = take(n, &at, n->host_len);
    l->user_agent = take(n, &at, n->agent_len);
    l->referer = take(n, &at, n->referer_len);
    l->request_id = take(n, &at, n->id_len);
}

static void write_line(const struct txn *t, const struct conf_access_log *log, char *room)
{
    struct worker *w = t->worker;
    const struct peer *p = &t->note->client;
    char client[INET6_ADDRSTRLEN] = "unix";
    if (p->family != AF_UNIX)
        (void)net_ip_format(p->family, p->ip, client);
    struct access_line l = {
        .wall_ms = clock_wall_ms(),
        .client = client,
        .listener = t->listener->name,
        .protocol = protocol_of(t),
        .pool = t->pool ? t->pool->conf->name : NULL,
        .backend = backend_of(t),
        .tls = tls_version(t->conn),
        .termination = t->end ? t->end : "finished",
        .status = t->status,
        .attempts = t->attempts,
        .bytes_in = t->bytes_in,
        .bytes_out = t->bytes_out,
        .duration_us = w->now_us > t->started_us ? w->now_us - t->started_us : 0,
        .backend_us = t->note->backend_us,
    };
    char trace[TRACE_ID_BYTES];
    if (UNLIKELY(t->trace[0] | t->trace[1])) {
        traceparent_write_id(trace, t->trace);
        l.trace_id = (struct access_text){trace, sizeof trace};
    }
    fill_head(t->note, &l);
    access_sink_added(w, log->sink, access_format(log->format, &l, room));
}

void access_end(struct txn *t)
{
    const struct conf_access_log *log = &t->listener->access_log;
    char *room = access_sink_room(t->worker, log->sink);
    if (room)
        write_line(t, log, room);
    access_drop(t);
}

void access_drop(struct txn *t)
{
    slab_put(&t->worker->note_slab, t->note);
    t->note = NULL;
}
