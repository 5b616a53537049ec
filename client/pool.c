/* client/pool.c: the pools a client was asked for, and their views. See client/client_int.h. */
#include <stdlib.h>
#include <string.h>
#include "client/client_int.h"

static struct client_pool **bucket_of(struct ballast_client *c, const char *name)
{
    uint32_t sum = 0;
    for (; *name; name++)
        sum = sum * 31 + (unsigned char)*name;
    return &c->buckets[sum % POOL_BUCKETS];
}

static void drop_view(struct client_pool *p)
{
    lb_view_free(&p->view);
    p->row = INDEX_NONE;
}

/* Keeps the place of a pool that is gone: it may come back, and its picks are still out. */
void pools_forget(struct ballast_client *c)
{
    for (uint32_t i = 0; i < c->pool_count; i++) {
        drop_view(c->pools[i]);
        c->pools[i]->own = (struct lb_own){.rows = c->rows, .purse = &c->lease.purse};
    }
}

void pools_free(struct ballast_client *c)
{
    for (uint32_t i = 0; i < c->pool_count; i++) {
        drop_view(c->pools[i]);
        free(c->pools[i]->everybody);
        free(c->pools[i]);
    }
    free(c->pools);
}

/* Only for names that the table has: whoever names pools from outside cannot fill our memory. */
static struct client_pool *add(struct ballast_client *c, const char *name)
{
    struct client_pool **grown = realloc(c->pools, (c->pool_count + 1) * sizeof *grown);
    struct client_pool *p = grown ? calloc(1, sizeof *p) : NULL;
    if (grown)
        c->pools = grown;
    if (!p)
        return NULL;
    struct client_pool **bucket = bucket_of(c, name);
    memcpy(p->name, name, strlen(name) + 1);
    p->row = INDEX_NONE;
    p->own = (struct lb_own){.rows = c->rows, .purse = &c->lease.purse};
    p->number = c->pool_count;
    p->next = *bucket;
    *bucket = p;
    c->pools[c->pool_count++] = p;
    return p;
}

/* ---- the row of the table ---- */

static bool is_row(const struct table *t, uint32_t row, const char *name)
{
    return row < POOL_MAX && word_get(&pool_at(t, row)->state) == ROW_LIVE &&
           strncmp(pool_at(t, row)->name, name, NAME_MAX_BYTES) == 0;
}

/* Pools come and go with reloads; the same index may be another pool's afterwards. */
static void find_row(struct ballast_client *c, struct client_pool *p)
{
    uint32_t membership = word_get(&c->table.header->membership);
    if (LIKELY(p->row != INDEX_NONE && p->membership == membership))
        return;
    if (!is_row(&c->table, p->row, p->name)) {
        drop_view(p);
        p->row = pool_find(&c->table, p->name);
    }
    p->membership = membership;
}

/* A reload may have given the pool another algorithm. */
static void follow_algorithm(struct ballast_client *c, struct client_pool *p)
{
    const struct lb_algorithm *a = lb_of_pool(&c->table, p->row);
    if (LIKELY(a == p->view.algorithm))
        return;
    lb_view_free(&p->view);
    if (!a)
        return;
    lb_view_init(&p->view, &c->table, p->row, a);
    p->view.own_cursor = client_random(c); /* else programs that start together go in step */
    lb_own_attach(&p->view, &p->own);
}

enum ballast_result pool_refresh(struct ballast_client *c, struct client_pool *p, uint64_t now_us)
{
    find_row(c, p);
    if (p->row == INDEX_NONE)
        return BALLAST_NO_POOL;
    follow_algorithm(c, p);
    if (!p->view.algorithm || lb_view_refresh(&p->view, now_us) == -1)
        return BALLAST_FALLBACK; /* no memory for its view: the balancer still can */
    return BALLAST_OK;
}

struct client_pool *pool_named(struct ballast_client *c, const char *name)
{
    struct client_pool *p = *bucket_of(c, name);
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    if (!p && strlen(name) < NAME_MAX_BYTES && pool_find(&c->table, name) != INDEX_NONE)
        p = add(c, name);
    return p;
}
