/* worker/handover_take.c: the one who stays. */
#include "worker/handover_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/log.h"
#include "conf/route.h"
#include "proc/control.h"
#include "worker/client_limit.h"
#include "worker/conn.h"
#include "worker/splice.h"
#include "worker/tunnel.h"
#include "worker/txn.h"
#include "worker/upstream.h"

#define HEIR_MAGIC 0x4E125001u
#define BATCH      16u /* before others have their turn */

struct heir {
    uint32_t magic;
    struct worker *worker;
    struct ev_io io;
    uint32_t taken, refused;
};

/* What came, and what is to be made of it. */
struct offer {
    const struct handover_record *r;
    const char *in, *to_client, *note;
    int *fds;
    uint32_t fd_count, fds_used;
    const struct conf_listener *listener;
    struct pool_rt *pool;
    uint32_t entry, incarnation;
};

/* ---- is it one of ours? ---- */

static uint32_t fds_needed(const struct handover_record *r)
{
    if (!r->has_tunnel)
        return 1;
    return 2u + (r->tunnel.to_client.cap ? 2u : 0u) + (r->tunnel.to_backend.cap ? 2u : 0u);
}

static bool is_whole(const struct handover_record *r, size_t len)
{
    return len >= sizeof *r && r->in_bytes <= BUF_LARGE_BYTES &&
           r->tunnel.to_client_bytes <= BUF_LARGE_BYTES &&
           r->tunnel.note_bytes <= sizeof(struct access_note) &&
           len == sizeof *r + r->in_bytes + r->tunnel.to_client_bytes + r->tunnel.note_bytes;
}

static struct pool_rt *find_pool(struct gen *g, const char *name)
{
    for (uint32_t i = 0; i < g->conf->pool_count; i++)
        if (strcmp(g->conf->pools[i].name, name) == 0)
            return &g->pools[i];
    return NULL;
}

/* In the same table it may be one that is not configured any more; in another it goes by name. */
static bool find_backend(const struct worker *w, struct offer *o)
{
    const struct handover_tunnel *h = &o->r->tunnel;
    uint32_t row = o->pool->conf->row;
    o->entry = h->entry;
    o->incarnation = h->incarnation;
    if (o->r->table != w->table->header->key.k0) {
        o->entry = entry_find(w->table, row, h->backend);
        if (o->entry == INDEX_NONE)
            return false;
        o->incarnation = word_get(&entry_at(w->table, o->entry)->incarnation);
    }
    return o->entry < ENTRY_MAX && word_get(&entry_at(w->table, o->entry)->pool) == row;
}

static bool find_all(const struct worker *w, struct offer *o)
{
    o->listener = conf_listener_of_bind(w->gen->conf, o->r->bind_id);
    if (w->draining || !o->listener ||
        o->listener->protocol != (enum conf_protocol)o->r->protocol ||
        o->fd_count != fds_needed(o->r))
        return false;
    if (!o->r->has_tunnel)
        return o->listener->protocol == CONF_HTTP;
    o->pool = find_pool(w->gen, o->r->tunnel.pool);
    return o->pool && find_backend(w, o);
}

/* ---- the connection ---- */

static bool fill(struct worker *w, struct buf **at, const char *bytes, uint32_t len)
{
    if (len == 0)
        return true;
    *at = buf_get(&w->bufs, len > BUF_SMALL_BYTES);
    if (*at)
        buf_append(*at, bytes, len);
    return *at != NULL;
}

static struct conn *make_conn(struct worker *w, struct offer *o)
{
    const struct handover_record *r = o->r;
    struct conn *c = conn_take_over(w, o->fds[0], o->listener, r->bind_id);
    if (!c)
        return NULL;
    o->fds_used = 1;
    c->peer = r->peer;
    c->dest = r->dest;
    c->served = r->served;
    c->eof = r->eof;
    if (r->limited)
        client_limit_take_over(c);
    if (fill(w, &c->in, o->in, r->in_bytes))
        return c;
    conn_give_up(c);
    return NULL;
}

/* ---- the tunnel ---- */

static bool make_pipe(struct worker *w, struct pipe **at, const struct handover_pipe *h,
                      struct offer *o)
{
    if (!h->cap)
        return true;
    *at = splice_take_over(w, o->fds[o->fds_used], o->fds[o->fds_used + 1], h->bytes, h->cap);
    o->fds_used += *at ? 2 : 0;
    return *at != NULL;
}

static const struct conf_route *find_route(const struct conf_listener *l, uint32_t index)
{
    bool there = l->routes && index < l->routes->count;
    return there ? &l->routes->items[index] : l->fallback;
}

static void restore(struct txn *t, const struct handover_tunnel *h)
{
    t->route = find_route(t->listener, h->route);
    t->started_us = h->started_us;
    t->sent_us = h->sent_us;
    t->bytes_in = h->bytes_in;
    t->bytes_out = h->bytes_out;
    t->status = h->status;
    t->attempts = h->attempts;
    t->bulk_in = h->bulk_in;
    t->bulk_out = h->bulk_out;
    t->client_eof = h->client_eof;
    t->up_eof = h->up_eof;
    t->client_shut = h->client_shut;
    t->up_shut = h->up_shut;
    t->send_broken = h->send_broken;
    t->req_done = t->res_head_done = t->client_started = true;
}

/* What is remembered for the access log. */
static void restore_note(struct txn *t, const struct offer *o)
{
    struct access_note *n = t->note;
    uint32_t len = o->r->tunnel.note_bytes;
    if (!n || len < offsetof(struct access_note, parts.text))
        return;
    memcpy(n, o->note, len);
    if (handover_note_bytes(n) != len)
        memset(n, 0, offsetof(struct access_note, parts.text));
    n->entry = o->entry;
    n->incarnation = o->incarnation;
}

static bool take_places(struct txn *t, const struct offer *o)
{
    struct worker *w = t->worker;
    if (!entry_take_over(w->table, o->entry, o->incarnation, w->slot))
        return false;
    pool_take_over(w->table, o->pool->conf->row, w->slot);
    t->entry = o->entry;
    return true;
}

static bool make_upstream(struct txn *t, struct offer *o)
{
    struct upstream *u = upstream_new(t, o->fds[o->fds_used]);
    if (!u)
        return false;
    o->fds_used++;
    u->connecting = false;
    u->txn = t;
    t->up = u;
    return true;
}

/* False: c is as it is, with what there is of its tunnel. */
static bool make_tunnel(struct conn *c, struct offer *o)
{
    const struct handover_tunnel *h = &o->r->tunnel;
    struct worker *w = c->worker;
    struct txn *t = txn_begin(c);
    if (!t)
        return false;
    c->served--;
    t->pool = o->pool;
    txn_set_state(t, TXN_TUNNEL);
    restore(t, h);
    restore_note(t, o);
    return take_places(t, o) && make_upstream(t, o) &&
           make_pipe(w, &t->to_client, &h->to_client, o) &&
           make_pipe(w, &t->to_backend, &h->to_backend, o) &&
           fill(w, &t->rbuf, o->to_client, h->to_client_bytes);
}

/* ---- a record ---- */

static struct conn *make(struct worker *w, struct offer *o)
{
    struct conn *c = find_all(w, o) ? make_conn(w, o) : NULL;
    if (!c || !o->r->has_tunnel || make_tunnel(c, o))
        return c;
    conn_give_up(c);
    return NULL;
}

static void serve(struct conn *c, const struct handover_record *r)
{
    if (c->txn) {
        tunnel_pump(c->txn);
        return;
    }
    uint64_t now_us = c->worker->now_us;
    conn_want(c, EV_READ);
    conn_deadline(c, r->deadline_us > now_us ? (uint32_t)((r->deadline_us - now_us) / 1000) : 0);
    conn_continue(c);
}

/* Who does not hear that it was taken serves it. */
static bool answer(const struct heir *h, uint64_t id, bool taken)
{
    struct handover_answer a = {.id = id, .taken = taken};
    struct iovec part = {&a, sizeof a};
    return ctl_send_parts(h->io.fd, &part, 1, NULL, 0) == 0;
}

static void take(struct heir *h, struct offer *o)
{
    struct conn *c = make(h->worker, o);
    bool heard = answer(h, o->r->id, c != NULL);
    *(c && heard ? &h->taken : &h->refused) += 1;
    if (c && heard)
        serve(c, o->r);
    else if (c)
        conn_give_up(c);
}

static void stop(struct heir *h)
{
    if (h->taken + h->refused > 0)
        log_info("connections taken over: %u, refused: %u", h->taken, h->refused);
    ev_io_stop(h->worker->loop, &h->io);
    close(h->io.fd);
    MAGIC_CLEAR(h);
    free(h);
}

/* False: there was none. */
static bool read_record(struct heir *h)
{
    static union {
        struct handover_record r;
        char bytes[HANDOVER_BYTES];
    } room;
    int fds[CTL_FDS];
    struct offer o = {.r = &room.r, .fds = fds, .in = room.bytes + sizeof room.r};
    ssize_t n = ctl_recv_bytes(h->io.fd, &room, sizeof room, fds, &o.fd_count);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return false;
    bool known = n >= 12 && room.r.magic == HANDOVER_MAGIC && room.r.version == HANDOVER_VERSION &&
                 room.r.record_bytes == sizeof room.r;
    if (!known || !is_whole(&room.r, (size_t)n)) {
        if (n > 0)
            log_warning("connections of another version stay where they are");
        ctl_close_fds(fds, n > 0 ? o.fd_count : 0);
        stop(h);
        return false;
    }
    o.to_client = o.in + room.r.in_bytes;
    o.note = o.to_client + room.r.tunnel.to_client_bytes;
    take(h, &o);
    ctl_close_fds(fds + o.fds_used, o.fd_count - o.fds_used);
    return true;
}

static void on_channel(struct ev_loop *loop UNUSED, struct ev_io *io, int revents UNUSED)
{
    struct heir *h = CONTAINER_OF(io, struct heir, io);
    MAGIC_CHECK(h, HEIR_MAGIC);
    for (uint32_t i = 0; i < BATCH && read_record(h); i++)
        ;
}

void handover_receive(struct worker *w, int fd)
{
    struct heir *h = calloc(1, sizeof *h);
    if (!h) {
        close(fd);
        return;
    }
    MAGIC_SET(h, HEIR_MAGIC);
    h->worker = w;
    ev_io_init(&h->io, on_channel, fd, EV_READ);
    ev_io_start(w->loop, &h->io);
}
