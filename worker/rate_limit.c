/* worker/rate_limit.c */
#include "worker/rate_limit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "conf/route.h"
#include "shm/events.h"
#include "worker/account.h"
#include "worker/dispatch.h"
#include "worker/key.h"
#include "worker/peer.h"
#include "worker/txn.h"
#include "worker/txn_start.h"
#include "worker/vars.h"

#define NOT_A_VALUE       0x6e6f206b65792121u
#define IPV6_CLIENT_BYTES 8u /* who has one address of a network of 64 bits has all of them */

/* The limits of one object. */
struct limits {
    const struct conf_rate_limit *items;
    uint32_t count;
};

/* What is asked of all limits of a request. */
struct asker {
    struct txn *t;
    const struct http1_head *h; /* NULL: a TCP connection */
    const char *base;
    const struct conf_rate_limit *tightest; /* of those with "headers" */
    struct rate_verdict least;              /* its verdict */
    uint64_t wait_us;
};

/* The peer, or whom a trusted proxy names. */
static const struct peer *find_client(const struct asker *a, struct peer *named)
{
    if (!a->h || !a->t->listener->trusted_count)
        return &a->t->conn->peer;
    struct net_addr client;
    vars_client(a->t, a->h, a->base, &client);
    peer_from_addr(named, &client);
    return named;
}

static uint64_t key_of_client(const struct asker *a)
{
    struct peer named;
    const struct peer *p = find_client(a, &named);
    struct hash_key secret = a->t->worker->table->header->key;
    uint32_t v4;
    if (p->family != AF_INET)
        return hash_bytes(secret, p->ip, IPV6_CLIENT_BYTES);
    memcpy(&v4, p->ip, sizeof v4);
    return hash_word(secret, v4);
}

static uint64_t key_of(const struct asker *a, const struct conf_rate_limit *r)
{
    struct hash_key secret = a->t->worker->table->header->key;
    if (r->key_kind == CONF_KEY_CLIENT_IP)
        return key_of_client(a);
    if (r->key_kind == CONF_KEY_GLOBAL)
        return hash_bytes(secret, "", 0);
    struct key_part part = {0};
    if (a->h)
        part = key_part_find(a->h, a->base, r->key);
    if (part.len == 0) /* no value of a field is taken for an address */
        return key_of_client(a) ^ (r->key_kind == CONF_KEY_CLIENT_IP ? 0 : NOT_A_VALUE);
    return r->key_kind == CONF_KEY_HOST ? key_hash_host(secret, part)
                                        : hash_bytes(secret, part.at, part.len);
}

static struct rate_table table_of(const struct asker *a, const struct conf_rate_limit *r)
{
    return rate_open(a->t->worker->table, r->row, &r->plan);
}

/* ---- the answer ---- */

static uint32_t seconds_up(uint64_t us)
{
    return (uint32_t)((us + 999999) / 1000000);
}

static void tell(struct txn *t, const struct conf_rate_limit *r, const struct rate_verdict *v)
{
    t->rate =
        (struct txn_rate){.limit = r->algorithm == RATE_SLIDING_WINDOW ? r->rate.count : r->burst,
                          .remaining = v->remaining,
                          .reset_s = seconds_up(v->reset_us),
                          .retry_after_s = v->allowed ? 0 : seconds_up(v->wait_us)};
}

size_t rate_limit_fields(const struct txn *t, char out[RATE_LIMIT_FIELDS_BYTES])
{
    const struct txn_rate *r = &t->rate;
    char retry[32] = "";
    if (r->retry_after_s)
        snprintf(retry, sizeof retry, "Retry-After: %u\r\n", r->retry_after_s);
    return (size_t)snprintf(
        out, RATE_LIMIT_FIELDS_BYTES,
        "%sRateLimit-Limit: %u\r\nRateLimit-Remaining: %u\r\nRateLimit-Reset: %u\r\n", retry,
        r->limit, r->remaining, r->reset_s);
}

static void write_onset(const struct asker *a, const struct conf_rate_limit *r)
{
    static const char *const names[] = {"token_bucket", "sliding_window", "leaky_bucket"};
    char reason[144], client[INET6_ADDRSTRLEN] = "unix";
    const struct worker *w = a->t->worker;
    struct peer named;
    const struct peer *p = find_client(a, &named);
    if (p->family != AF_UNIX)
        inet_ntop(p->family, p->ip, client, sizeof client);
    snprintf(reason, sizeof reason, "%s %u/%ums by %.40s, client %s", names[r->algorithm],
             r->rate.count, r->rate.period_ms, r->key, client);
    event_write(w->table, w->slot, "rate_limit", r->owner, "passing", "limiting", reason);
}

static void refuse(struct asker *a, const struct conf_rate_limit *r, const struct rate_verdict *v)
{
    struct txn *t = a->t;
    struct worker *w = t->worker;
    account_rate_limited(t, r->row);
    if (rate_onset(w->table, r->row, w->now_us))
        write_onset(a, r);
    tell(t, r, v);
    t->end = "rate limit";
    txn_fail(t, 429, "Too many requests");
}

/* ---- asking and counting ---- */

static bool ask(struct asker *a, struct limits l)
{
    struct rate_verdict v;
    for (uint32_t i = 0; i < l.count; i++) {
        struct rate_table table = table_of(a, &l.items[i]);
        if (rate_peek(&table, key_of(a, &l.items[i]), a->t->worker->now_us, &v))
            continue;
        refuse(a, &l.items[i], &v);
        return false;
    }
    return true;
}

static void note_passed(struct asker *a, const struct conf_rate_limit *r,
                        const struct rate_verdict *v)
{
    account_rate_passed(a->t, r->row, v->wait_us > 0, v->evicted);
    if (v->wait_us > a->wait_us)
        a->wait_us = v->wait_us;
    if (r->headers && (!a->tightest || v->remaining < a->least.remaining)) {
        a->tightest = r;
        a->least = *v;
    }
}

static bool take(struct asker *a, struct limits l)
{
    struct rate_verdict v;
    for (uint32_t i = 0; i < l.count; i++) {
        struct rate_table table = table_of(a, &l.items[i]);
        if (!rate_take(&table, key_of(a, &l.items[i]), a->t->worker->now_us, &v)) {
            refuse(a, &l.items[i], &v); /* another worker was faster */
            return false;
        }
        note_passed(a, &l.items[i], &v);
    }
    return true;
}

static uint32_t limits_of(const struct txn *t, struct limits out[3])
{
    const struct conf_listener *l = t->listener;
    const struct conf_route *r = t->route;
    const struct conf_pool *p = t->pool ? t->pool->conf : NULL;
    out[0] = (struct limits){l->rate_limits, l->rate_limit_count};
    out[1] = (struct limits){r ? r->rate_limits : NULL, r ? r->rate_limit_count : 0};
    out[2] = (struct limits){p ? p->rate_limits : NULL, p ? p->rate_limit_count : 0};
    return out[0].count + out[1].count + out[2].count;
}

/* False: it was answered. */
static bool count_request(struct asker *a, const struct limits all[3], uint32_t count)
{
    for (uint32_t i = 0; i < 3 && count > 1; i++)
        if (!ask(a, all[i]))
            return false;
    for (uint32_t i = 0; i < 3; i++)
        if (!take(a, all[i]))
            return false;
    account_rate_request(a->t, a->wait_us > 0);
    if (a->tightest)
        tell(a->t, a->tightest, &a->least);
    return true;
}

static uint32_t ms_up(uint64_t us)
{
    uint64_t ms = (us + 999) / 1000;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX; /* never before its turn */
}

/* Its turn has come. */
static const struct txn_wait turn_wait = {.over = txn_advance};
static const struct txn_wait tcp_turn_wait = {.over = txn_dispatch};

static bool limit(struct txn *t, const struct http1_head *h, const char *base,
                  const struct txn_wait *turn)
{
    struct limits all[3];
    uint32_t count = limits_of(t, all);
    if (count == 0)
        return true;
    struct asker a = {.t = t, .h = h, .base = base};
    if (!count_request(&a, all, count))
        return false;
    if (a.wait_us == 0)
        return true;
    txn_wait(t, turn, ms_up(a.wait_us));
    return false;
}

bool step_rate_limit(struct txn *t, const struct http1_head *h, const char *base)
{
    return limit(t, h, base, &turn_wait);
}

bool rate_limit_tcp(struct txn *t)
{
    return limit(t, NULL, NULL, &tcp_turn_wait);
}
