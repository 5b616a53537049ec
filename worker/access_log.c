/* worker/access_log.c */
#include "worker/access_log.h"

#include <string.h>
#include "base/traceparent.h"
#include "worker/access_format.h"
#include "worker/access_sink.h"
#include "worker/peer.h"
#include "worker/vars.h"

void access_begin(struct txn *t)
{
    struct access_note *n = slab_get(&t->worker->note_slab);
    if (!n)
        return; /* without memory there is no line */
    memset(n, 0, offsetof(struct access_note, parts.text));
    n->entry = INDEX_NONE;
    n->backend_us = UINT64_MAX;
    t->note = n;
}

/* ---- what the head says ---- */

static struct access_text of_span(const char *base, struct http1_span s)
{
    return (struct access_text){s.len ? base + s.off : NULL, s.len};
}

static struct access_text of_field(const struct http1_head *h, const char *base,
                                   enum http1_header_id id)
{
    const struct http1_header *f = h->present & 1ull << id ? http1_find(h, id) : NULL;
    return f ? of_span(base, f->value) : (struct access_text){0};
}

static struct access_text target_of(const struct http1_head *h, const char *base)
{
    struct http1_span s = h->target;
    if (h->absolute_form && h->path.len) {
        s = h->path;
        if (h->query.len)
            s.len = h->query.off + h->query.len - s.off;
    }
    return of_span(base, s);
}

#define WORD(literal) ((struct access_text){(literal), sizeof(literal) - 1})

static struct access_text word_of(const char *s)
{
    return (struct access_text){s, s ? (uint32_t)strlen(s) : 0};
}

static struct access_text protocol_of(const struct txn *t, const struct http1_head *h)
{
    if (t->conn->protocol != CONF_HTTP)
        return word_of(conf_protocol_name((enum conf_protocol)t->conn->protocol));
    if (t->conn->is_stream)
        return WORD("HTTP/2.0");
    if (h && h->minor == 0)
        return WORD("HTTP/1.0");
    return WORD("HTTP/1.1");
}

/* Adds what the connection says; without a head (h NULL) there is nothing else. */
static void write_head(const struct txn *t, const struct http1_head *h, const struct peer *client,
                       struct access_head *head)
{
    head->client.at = peer_text(t->worker, client, &head->client.len);
    head->listener = (struct access_text){t->listener->name, t->listener->name_len};
    head->protocol = protocol_of(t, h);
    access_format_head(t->listener->access_log.format, head, &t->note->parts);
    t->note->head = true;
}

void access_note_head(struct txn *t, const struct http1_head *h, const char *base)
{
    struct access_head head;
    struct peer named;
    const struct peer *peer = &t->conn->peer;
    head.method = of_span(base, h->method);
    head.host = of_span(base, h->authority);
    head.target = target_of(h, base);
    head.user_agent = of_field(h, base, HTTP1_H_USER_AGENT);
    head.referer = of_field(h, base, HTTP1_H_REFERER);
    head.request_id.at = vars_request_id(t, h, base, &head.request_id.len);
    head.own_id = head.request_id.at == t->made_id;
    if (t->listener->trusted_count) {
        struct net_addr client;
        vars_client(t, h, base, &client);
        peer_from_addr(&named, &client);
        peer = &named;
    }
    write_head(t, h, peer, &head);
}

/* ---- what happened ---- */

void access_note_user(struct txn *t, const char *name, uint32_t len)
{
    access_format_user((struct access_text){name, len}, &t->note->parts);
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

/* What only JSON says. */
static void add_details(const struct txn *t, struct access_line *l, char trace[TRACE_ID_BYTES])
{
    uint64_t now_us = t->worker->now_us;
    l->backend = word_of(backend_of(t));
    l->tls = word_of(t->conn->tls_version);
    l->termination = UNLIKELY(t->end != NULL) ? word_of(t->end) : WORD("finished");
    l->attempts = t->attempts;
    l->bytes_in = t->bytes_in;
    l->duration_us = now_us > t->started_us ? now_us - t->started_us : 0;
    l->backend_us = t->note->backend_us;
    l->pool = (struct access_text){0};
    if (t->pool)
        l->pool = (struct access_text){t->pool->conf->name, t->pool->conf->name_len};
    l->trace_id = (struct access_text){0};
    if (UNLIKELY(t->trace[0] | t->trace[1])) {
        traceparent_write_id(trace, t->trace);
        l->trace_id = (struct access_text){trace, TRACE_ID_BYTES};
    }
}

static void write_line(const struct txn *t, const struct conf_access_log *log, char *room)
{
    struct worker *w = t->worker;
    struct access_line l;
    char trace[TRACE_ID_BYTES];
    l.wall_ms = (uint64_t)(ev_now(w->loop) * 1000);
    l.status = t->status;
    l.bytes_out = t->bytes_out;
    if (t->note->parts.format == ACCESS_JSON)
        add_details(t, &l, trace);
    access_sink_added(w, log->sink, access_format(&t->note->parts, &l, room));
}

void access_end(struct txn *t)
{
    const struct conf_access_log *log = &t->listener->access_log;
    char *room = access_sink_room(t->worker, log->sink);
    if (UNLIKELY(!t->note->head))
        write_head(t, NULL, &t->conn->peer, &(struct access_head){0});
    if (room)
        write_line(t, log, room);
    access_drop(t);
}

void access_drop(struct txn *t)
{
    slab_put(&t->worker->note_slab, t->note);
    t->note = NULL;
}
