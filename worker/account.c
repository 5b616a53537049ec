/* worker/account.c */
#include "worker/account.h"

#include "shm/cache.h"
#include "shm/latency.h"
#include "worker/access_log.h"

static atom64 *class_of(atom64 *first_of_five, unsigned status)
{
    unsigned class = status / 100;
    return &first_of_five[class >= 1 && class <= 5 ? class - 1 : 4];
}

void account_txn(struct txn *t)
{
    struct worker *w = t->worker;
    struct lcell *cell = worker_lcell(w, t->conn->listener_row);
    uint64_t took_us = w->now_us > t->started_us ? w->now_us - t->started_us : 0;
    count_add(&cell->requests, 1);
    count_add(&w->table->slots[w->slot].requests, 1);
    if (t->status)
        count_add(class_of(&cell->status_1xx, t->status), 1);
    count_add(&cell->failed, t->failed);
    count_add(&cell->aborted, t->aborted);
    count_add(&cell->request_us, took_us);
    count_add(&cell->finished, 1);
    histo_add(cell->histo, took_us);
}

void account_refused(struct worker *w, uint32_t listener_row)
{
    count_add(&worker_lcell(w, listener_row)->refused, 1);
}

/* For algorithms that go by it. */
static void feed_latency(struct txn *t, uint64_t took_us)
{
    if (UNLIKELY(t->pool->view.algorithm->loads == LOADS_LATENCY))
        latency_feed(t->worker->table, t->entry, took_us, t->worker->now_us);
}

static uint64_t since_sent_us(const struct txn *t)
{
    return t->worker->now_us > t->sent_us ? t->worker->now_us - t->sent_us : 0;
}

void account_tls(struct conn *c, enum account_handshake how)
{
    struct lcell *cell = worker_lcell(c->worker, c->listener_row);
    count_add(how == TLS_FAILED ? &cell->tls_failed : &cell->tls_handshakes, 1);
    if (how == TLS_RESUMED)
        count_add(&cell->tls_resumed, 1);
}

void account_sent(struct txn *t)
{
    struct cell *cell = worker_cell(t->worker, t->entry);
    if (t->conn->protocol == CONF_TCP)
        feed_latency(t, since_sent_us(t)); /* since the pick: how long the connection took */
    t->sent_us = t->worker->now_us;
    count_add(&cell->requests, 1);
    count_add(t->up && t->up->reused ? &cell->reused : &cell->connects, 1);
    if (t->note)
        access_note_sent(t);
}

void account_answer(struct txn *t)
{
    struct cell *cell = worker_cell(t->worker, t->entry);
    uint64_t took_us = since_sent_us(t);
    feed_latency(t, took_us);
    count_add(&cell->response_us, took_us);
    count_add(&cell->responses, 1);
    histo_add(cell->histo, took_us);
}

void account_response(struct txn *t, unsigned status)
{
    struct cell *cell = worker_cell(t->worker, t->entry);
    uint64_t took_us = since_sent_us(t);
    count_add(class_of(&cell->status_1xx, status), 1);
    count_add(&cell->response_us, took_us);
    count_add(&cell->responses, 1);
    histo_add(cell->histo, took_us);
    feed_latency(t, took_us);
    if (t->note)
        access_note_response(t, took_us);
}

void account_attempt_failed(struct txn *t, bool connect_error, bool timeout)
{
    if (t->entry == INDEX_NONE)
        return;
    struct cell *cell = worker_cell(t->worker, t->entry);
    uint64_t took_us = since_sent_us(t);
    feed_latency(t, took_us > LATENCY_FAILED_US ? took_us : LATENCY_FAILED_US);
    count_add(&cell->failed, 1);
    if (connect_error)
        count_add(&cell->connect_errors, 1);
    if (timeout)
        count_add(&cell->timeouts, 1);
}

void account_retry(struct txn *t)
{
    if (t->entry != INDEX_NONE)
        count_add(&worker_cell(t->worker, t->entry)->retries, 1);
}

static struct rcell *limit_cell(const struct txn *t, uint32_t limit)
{
    return rate_cell(t->worker->table, t->worker->slot, limit);
}

void account_rate_limited(struct txn *t, uint32_t limit)
{
    count_add(&limit_cell(t, limit)->limited, 1);
    count_add(&worker_lcell(t->worker, t->conn->listener_row)->rate_limited, 1);
}

void account_rate_passed(struct txn *t, uint32_t limit, bool delayed, bool evicted)
{
    struct rcell *cell = limit_cell(t, limit);
    count_add(delayed ? &cell->delayed : &cell->passed, 1);
    count_add(&cell->evicted, evicted);
}

void account_rate_request(struct txn *t, bool delayed)
{
    struct lcell *cell = worker_lcell(t->worker, t->conn->listener_row);
    count_add(delayed ? &cell->rate_delayed : &cell->rate_passed, 1);
}

void account_log_dropped(struct worker *w, uint32_t lines)
{
    count_add(&w->table->slots[w->slot].log_dropped, lines);
}

void account_compression(struct txn *t)
{
    count_add(&worker_lcell(t->worker, t->conn->listener_row)->compressed, 1);
}

void account_compressed(struct txn *t, uint64_t in, uint64_t out)
{
    struct lcell *cell = worker_lcell(t->worker, t->conn->listener_row);
    count_add(&cell->compress_in, in);
    count_add(&cell->compress_out, out);
}

static atom64 *cache_counter(struct pcell *p, enum cache_result result)
{
    switch (result) {
    case CACHE_HIT: return &p->cache_hits;
    case CACHE_MISS:
    case CACHE_EXPIRED: return &p->cache_misses;
    case CACHE_STALE: return &p->cache_stale;
    case CACHE_REVALIDATED: return &p->cache_revalidated;
    case CACHE_BYPASS: return &p->cache_bypassed;
    case CACHE_UNSAID: break;
    }
    return NULL;
}

void account_cache(struct txn *t, enum cache_result result)
{
    const struct worker *w = t->worker;
    struct pcell *cell = table_pcell(w->table, w->slot, t->pool->conf->row);
    atom64 *counter = cache_counter(cell, result);
    if (counter)
        count_add(counter, 1);
}

void account_cache_waits(struct worker *w)
{
    count_add(&cache_cell(w->table, w->slot)->collapsed, 1);
}

void account_cache_abandoned(struct worker *w)
{
    count_add(&cache_cell(w->table, w->slot)->abandoned, 1);
}

void account_cache_served(struct worker *w, uint64_t n)
{
    count_add(&cache_cell(w->table, w->slot)->served_bytes, n);
}

void account_client_in(struct txn *t, uint64_t n)
{
    t->bytes_in += n;
    count_add(&worker_lcell(t->worker, t->conn->listener_row)->bytes_in, n);
}

void account_client_out(struct txn *t, uint64_t n)
{
    t->bytes_out += n;
    count_add(&worker_lcell(t->worker, t->conn->listener_row)->bytes_out, n);
}

void account_backend_in(struct txn *t, uint64_t n)
{
    count_add(&worker_cell(t->worker, t->entry)->bytes_in, n);
}

void account_backend_out(struct txn *t, uint64_t n)
{
    count_add(&worker_cell(t->worker, t->entry)->bytes_out, n);
}
