/* worker/sticky.c */
#include "worker/sticky.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "shm/passive.h"
#include "shm/stick.h"
#include "worker/key.h"

#define ID_CHARS 16u /* hexadecimal, then the hour in which it was given out */

/* ---- who is who ---- */

static int compare_ids(const void *a, const void *b)
{
    const struct sticky_id *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool grow(struct sticky_index *x, uint32_t cap)
{
    if (cap <= x->cap)
        return true;
    struct sticky_id *ids = realloc(x->ids, cap * sizeof *ids);
    if (!ids)
        return false;
    x->ids = ids;
    x->cap = cap;
    return true;
}

/* All members, usable or not: a draining one still gets its own. */
static void build(struct sticky_index *x, const struct table *t, uint32_t pool, uint32_t change)
{
    static uint32_t members[ENTRY_MAX];
    uint32_t n = entry_members(t, pool, members, ENTRY_MAX);
    if (!grow(x, n))
        return;
    for (uint32_t i = 0; i < n; i++)
        x->ids[i] = (struct sticky_id){count_get(&entry_at(t, members[i])->stick_id), members[i]};
    qsort(x->ids, n, sizeof *x->ids, compare_ids);
    x->count = n;
    x->change = change;
    x->built = true;
}

static const struct sticky_index *index_of(struct txn *t)
{
    struct sticky_index *x = &t->pool->sticky;
    const struct table *table = t->worker->table;
    uint32_t pool = t->pool->conf->row, change = word_get(&pool_at(table, pool)->change);
    if (!x->built || x->change != change)
        build(x, table, pool, change);
    return x;
}

static uint32_t find_id(const struct sticky_index *x, uint64_t id)
{
    struct sticky_id wanted = {.id = id};
    const struct sticky_id *found =
        x->count ? bsearch(&wanted, x->ids, x->count, sizeof *x->ids, compare_ids) : NULL;
    return found ? found->entry : INDEX_NONE;
}

void sticky_index_free(struct sticky_index *x)
{
    free(x->ids);
    memset(x, 0, sizeof *x);
}

/* Does it still take the clients that it has? A draining one does, and so does one of weight 0. */
static bool keeps(const struct txn *t, uint32_t entry)
{
    const struct table *table = t->worker->table;
    if (entry >= word_get(&table->header->entries_high))
        return false;
    const struct entry *e = entry_at(table, entry);
    return word_get(&e->state) == ROW_LIVE && word_get(&e->pool) == t->pool->conf->row &&
           word_get(&e->mode) != MODE_MAINTENANCE && word_get(&e->health) != HEALTH_UNHEALTHY &&
           breaker_state(e) != BREAKER_OPEN && !passive_ejected(e);
}

/* ---- by cookie ---- */

static uint32_t hour_now(void)
{
    return (uint32_t)(clock_wall_ms() / 3600000u);
}

/* "16 hex digits-hours in hex"; false: not one of ours. */
static bool parse_value(struct key_part value, uint64_t *id, uint32_t *hour)
{
    char text[ID_CHARS + 12];
    if (value.at == NULL || value.len <= ID_CHARS + 1 || value.len >= sizeof text ||
        value.at[ID_CHARS] != '-')
        return false;
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    if (strspn(text, "0123456789abcdef") != ID_CHARS ||
        strspn(text + ID_CHARS + 1, "0123456789abcdef") != value.len - ID_CHARS - 1)
        return false;
    text[ID_CHARS] = '\0';
    *id = strtoull(text, NULL, 16);
    *hour = (uint32_t)strtoul(text + ID_CHARS + 1, NULL, 16);
    return true;
}

/* Given anew when half of its time is over, so that a client that comes back keeps it. */
static bool is_fresh(const struct conf_sticky *s, uint32_t hour)
{
    uint32_t age = hour_now() - hour;
    return s->ttl_ms == 0 || (uint64_t)age * 3600000u * 2 <= s->ttl_ms;
}

static bool take_value(struct txn *t, const struct conf_sticky *s, struct key_part value)
{
    uint64_t id;
    uint32_t hour;
    uint32_t entry = parse_value(value, &id, &hour) ? find_id(index_of(t), id) : INDEX_NONE;
    if (entry == INDEX_NONE || !keeps(t, entry))
        return false;
    t->stick = entry;
    t->stick_tell = !is_fresh(s, hour);
    return true;
}

static void find_by_cookie(struct txn *t, const struct http1_head *h, const char *base)
{
    const struct conf_sticky *s = t->pool->conf->sticky;
    struct key_part value = key_cookie(h, base, s->name);
    t->stick_hide = value.at != NULL;
    t->stick_tell = true;
    while (value.at && !take_value(t, s, value)) /* another path may have one of that name */
        value = key_cookie_behind(h, base, s->name, value.at);
}

static void find_by_app_cookie(struct txn *t, const struct http1_head *h, const char *base)
{
    struct key_part value = key_cookie(h, base, t->pool->conf->sticky->name);
    if (value.len == 0)
        return;
    uint64_t id = entry_stick_id(t->pool->conf->name, value.at, value.len);
    uint32_t entry = find_id(index_of(t), id);
    if (entry != INDEX_NONE && keeps(t, entry))
        t->stick = entry;
}

/* ---- by header or address ---- */

/* Rendezvous hashing (Thaler, Ravishankar 1996) over those that take new clients: without memory
 * of it the same client gets the same backend. */
static uint32_t rendezvous(const struct txn *t)
{
    const struct lb_view *v = &t->pool->view;
    uint32_t best = INDEX_NONE;
    uint64_t best_score = 0;
    for (uint32_t m = 0; m < v->count; m++) {
        uint64_t id = count_get(&entry_at(t->worker->table, v->members[m].entry)->stick_id);
        uint64_t score = hash_mix64(id ^ t->stick_key);
        if (best == INDEX_NONE || score > best_score) {
            best = v->members[m].entry;
            best_score = score;
        }
    }
    return best;
}

static void find_by_key(struct txn *t, const char *what, const struct http1_head *h,
                        const char *base)
{
    const struct conf_sticky *s = t->pool->conf->sticky;
    if (h && s->type == CONF_STICKY_HEADER && key_part_find(h, base, what).len == 0)
        return; /* no session: by the algorithm */
    t->stick_key = hash_mix64(key_hash(t, what, h, base) + t->pool->conf->row) | 1;
    uint32_t entry = stick_get(t->worker->table, t->stick_key, s->ttl_ms, t->worker->now_us);
    if (entry != INDEX_NONE && keeps(t, entry))
        t->stick = entry;
}

void sticky_find(struct txn *t, const struct http1_head *head, const char *base)
{
    const struct conf_sticky *s = t->pool->conf->sticky;
    if (s->type == CONF_STICKY_CLIENT_IP)
        find_by_key(t, "client_ip", head, base);
    else if (!head)
        return;
    else if (s->type == CONF_STICKY_COOKIE)
        find_by_cookie(t, head, base);
    else if (s->type == CONF_STICKY_APP_COOKIE)
        find_by_app_cookie(t, head, base);
    else
        find_by_key(t, s->key, head, base);
}

void sticky_find_session(struct txn *t, uint64_t key, uint32_t ttl_ms)
{
    uint32_t entry = stick_get(t->worker->table, key, ttl_ms, t->worker->now_us);
    if (entry != INDEX_NONE && keeps(t, entry))
        t->stick = entry;
}

uint32_t sticky_first(const struct txn *t)
{
    if (t->stick != INDEX_NONE)
        return lb_tried(&t->lb, t->stick) ? INDEX_NONE : t->stick;
    uint32_t entry = t->stick_key ? rendezvous(t) : INDEX_NONE;
    return entry != INDEX_NONE && lb_tried(&t->lb, entry) ? INDEX_NONE : entry;
}

void sticky_chosen(struct txn *t)
{
    if (t->stick_key && t->stick != t->entry)
        stick_put(t->worker->table, t->stick_key, t->entry, t->worker->now_us);
    if (t->stick != t->entry && t->pool->conf->sticky->type == CONF_STICKY_COOKIE)
        t->stick_tell = true;
}

/* ---- fields ---- */

/* One pair of a Cookie field, blanks and separator taken off. */
static struct key_part next_pair(const char **at, const char *end)
{
    while (*at < end && (**at == ' ' || **at == '\t' || **at == ';'))
        (*at)++;
    const char *begin = *at, *stop = memchr(begin, ';', (size_t)(end - begin));
    *at = stop ? stop : end;
    size_t len = (size_t)(*at - begin);
    while (len > 0 && (begin[len - 1] == ' ' || begin[len - 1] == '\t'))
        len--;
    return (struct key_part){begin, len};
}

static bool is_ours(struct key_part pair, const char *name, size_t name_len)
{
    return pair.len > name_len && pair.at[name_len] == '=' && memcmp(pair.at, name, name_len) == 0;
}

void sticky_add_cookies(const struct txn *t, struct buf *out, const struct http1_head *head,
                        const char *base)
{
    const char *name = t->pool->conf->sticky->name;
    bool any = false;
    for (unsigned i = 0; i < head->count; i++) {
        if (head->headers[i].id != HTTP1_H_COOKIE)
            continue;
        const char *at = base + head->headers[i].value.off;
        const char *end = at + head->headers[i].value.len;
        while (at < end) {
            struct key_part pair = next_pair(&at, end);
            if (pair.len == 0 || is_ours(pair, name, strlen(name)))
                continue;
            buf_append(out, any ? "; " : "Cookie: ", any ? 2 : 8);
            buf_append(out, pair.at, pair.len);
            any = true;
        }
    }
    if (any)
        buf_append(out, "\r\n", 2);
}

size_t sticky_fields(const struct txn *t, char out[STICKY_FIELDS_BYTES])
{
    static const char *const sites[] = {[CONF_SAME_SITE_LAX] = "; SameSite=Lax",
                                        [CONF_SAME_SITE_STRICT] = "; SameSite=Strict",
                                        [CONF_SAME_SITE_NONE] = "; SameSite=None",
                                        [CONF_SAME_SITE_UNSET] = ""};
    const struct conf_sticky *s = t->pool->conf->sticky;
    const struct entry *e = entry_at(t->worker->table, t->entry);
    char age[32] = "";
    if (s->ttl_ms)
        snprintf(age, sizeof age, "; Max-Age=%u", s->ttl_ms / 1000);
    bool secure =
        s->secure == CONF_SECURE_ALWAYS || (s->secure == CONF_SECURE_AUTO && t->conn->secure);
    int n =
        snprintf(out, STICKY_FIELDS_BYTES,
                 "Set-Cookie: %s=%016llx-%x; Path=%s%s%s%s%s\r\nCache-Control: private\r\n",
                 s->name, (unsigned long long)count_get(&e->stick_id), hour_now(), s->path, age,
                 s->http_only ? "; HttpOnly" : "", secure ? "; Secure" : "", sites[s->same_site]);
    return n > 0 && (size_t)n < STICKY_FIELDS_BYTES ? (size_t)n : 0;
}
