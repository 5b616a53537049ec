/* client/client.c: opening, closing, and which table is followed. See client/ballast_client.h. */
#include "client/client_int.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "client/born.h"
#include "client/lease.h"

#define STALE_MS        3000u
#define STALE_MIN_MS    1000u /* processes show that they live twice a second */
#define MAX_FAILS       3u
#define FAIL_TIMEOUT_MS 10000u
#define LOOK_US         100000u
#define SEARCH_US       1000000u
#define US_PER_MS       1000u
#define PID_PREFIX      "pid:"

uint64_t client_random(struct ballast_client *c)
{
    return hash_mix64(c->draws++);
}

/* ---- the table that is followed ---- */

static void leave_table(struct ballast_client *c)
{
    if (c->table.base) {
        lease_leave(c);
        table_close(&c->table);
    }
    c->table = (struct table){.fd = -1};
}

/* Picks that were made by another table say nothing about this one. */
static void begin_epoch(struct ballast_client *c)
{
    uint32_t used = c->table.base ? word_get(&c->table.header->entries_high) : ENTRY_MAX;
    c->epoch++;
    pools_forget(c);
    memset(c->rows, 0, (used < ENTRY_MAX ? used : ENTRY_MAX) * sizeof *c->rows);
}

static void take_table(struct ballast_client *c, const struct table *t)
{
    if (c->table.base)
        begin_epoch(c);
    leave_table(c);
    c->table = *t;
}

static bool is_fresh(const struct ballast_client *c, uint64_t now_us)
{
    return c->table.base && table_age_us(&c->table, now_us) <= c->stale_us;
}

/* The instance that is followed, which stood still and goes on: what is in flight there is so. */
static bool is_same(const struct ballast_client *c, const struct table *t)
{
    struct stat a, b;
    return fstat(c->table.fd, &a) == 0 && fstat(t->fd, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

/* A living table takes the place of a dead one; a dead one that of none. */
static void search(struct ballast_client *c, uint64_t now_us)
{
    struct table t;
    c->search_us = now_us + SEARCH_US;
    if (table_attach_wish(&t, &c->wish, c->stale_us, c->search_why, sizeof c->search_why) == -1)
        return;
    c->search_why[0] = '\0';
    if (c->table.base && (is_same(c, &t) || table_age_us(&t, now_us) > c->stale_us))
        table_close(&t);
    else
        take_table(c, &t);
}

static void say_why(struct ballast_client *c)
{
    if (!c->table.base)
        snprintf(c->why, sizeof c->why, "%s", c->search_why);
    else
        snprintf(c->why, sizeof c->why, "the instance with pid %u shows no sign of life%s%s",
                 c->table.header->master_pid, c->search_why[0] ? "; " : "", c->search_why);
}

void client_look(struct ballast_client *c, uint64_t now_us)
{
    if (LIKELY(now_us < c->look_us))
        return;
    c->look_us = now_us + LOOK_US;
    if (!is_fresh(c, now_us) && now_us >= c->search_us)
        search(c, now_us);
    c->fresh = is_fresh(c, now_us);
    if (UNLIKELY(!c->fresh))
        say_why(c);
}

/* ---- the lock, and new processes ---- */

static void renew_lock(struct ballast_client *c)
{
    pthread_mutex_init(&c->lock, NULL);
}

/*
 * In a child: what is in flight is the parent's. Was the lock free when it was made, all is whole;
 * else another thread of the parent was in the middle of something, and what it worked on is left
 * alone: the child begins anew.
 */
static void be_born(struct ballast_client *c)
{
    bool whole = pthread_mutex_trylock(&c->lock) == 0;
    lease_forget(c);
    if (!whole) {
        c->table = (struct table){.fd = -1};
        memset(c->buckets, 0, sizeof c->buckets);
        c->pools = NULL;
        c->pool_count = 0;
        c->look_us = c->search_us = 0;
    }
    renew_lock(c);
    c->draws ^= hash_key_random().k0;
    begin_epoch(c);
    born_done(c->born);
}

void client_lock(struct ballast_client *c)
{
    if (UNLIKELY(born_is_child(c->born)) && born_claim(c->born))
        be_born(c);
    pthread_mutex_lock(&c->lock);
}

void client_unlock(struct ballast_client *c)
{
    pthread_mutex_unlock(&c->lock);
}

/* ---- opening ---- */

static int read_instance(struct ballast_client *c, const char *instance, char *why, size_t why_cap)
{
    if (instance && strncmp(instance, PID_PREFIX, strlen(PID_PREFIX)) == 0) {
        char *end;
        unsigned long pid = strtoul(instance + strlen(PID_PREFIX), &end, 10);
        if (pid == 0 || pid > INT32_MAX || *end) {
            snprintf(why, why_cap, "\"%.40s\" names no process: write pid:1234", instance);
            return -1;
        }
        c->wish.pid = (uint32_t)pid;
    } else if (instance) {
        c->conf_path = realpath(instance, NULL);
        if (!c->conf_path && instance[0] == '/') /* perhaps we may not look into its folder */
            c->conf_path = strdup(instance);
        if (!c->conf_path) {
            snprintf(why, why_cap, "%.200s: %s", instance, strerror(errno));
            return -1;
        }
        c->wish.conf_path = c->conf_path;
    }
    return 0;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static int read_options(struct ballast_client *c, const struct ballast_options *o, char *why,
                        size_t why_cap)
{
    char reason[160];
    if (o->size_bytes != sizeof *o) {
        snprintf(why, why_cap, "the program was compiled with another version of ballast_client.h");
        return -1;
    }
    uint32_t stale_ms = or_default(o->stale_ms, STALE_MS);
    if (stale_ms < STALE_MIN_MS) {
        snprintf(why, why_cap, "stale_ms is %u: at least %u", stale_ms, STALE_MIN_MS);
        return -1;
    }
    if (o->fallback && net_addr_parse(o->fallback, &c->fallback, reason, sizeof reason) == -1) {
        snprintf(why, why_cap, "fallback \"%.60s\": %s", o->fallback, reason);
        return -1;
    }
    c->stale_us = (uint64_t)stale_ms * US_PER_MS;
    c->fail_timeout_us = (uint64_t)or_default(o->fail_timeout_ms, FAIL_TIMEOUT_MS) * US_PER_MS;
    c->max_fails = or_default(o->max_fails, MAX_FAILS);
    c->keep_when_stale = o->keep_when_stale;
    c->uncounted = o->uncounted;
    c->wish.owner = o->owner;
    return 0;
}

static struct ballast_client *new_client(char *why, size_t why_cap)
{
    struct ballast_client *c = calloc(1, sizeof *c);
    if (!c || !(c->rows = calloc(ENTRY_MAX, sizeof *c->rows)) || !(c->born = born_new())) {
        snprintf(why, why_cap, "%s", strerror(errno));
        if (c)
            free(c->rows);
        free(c);
        return NULL;
    }
    renew_lock(c);
    c->table.fd = c->lease.fd = -1;
    c->lease.row = INDEX_NONE;
    c->epoch = 1; /* a pick that is nobody's has 0 */
    c->draws = hash_key_random().k0;
    return c;
}

struct ballast_client *ballast_client_open(const char *instance,
                                           const struct ballast_options *options, char *why,
                                           size_t why_cap)
{
    static const struct ballast_options defaults = BALLAST_OPTIONS_INIT;
    if (!options)
        options = &defaults;
    struct ballast_client *c = new_client(why, why_cap);
    if (!c)
        return NULL;
    if (read_options(c, options, why, why_cap) == 0 &&
        read_instance(c, instance, why, why_cap) == 0) {
        client_look(c, clock_mono_us());
        if (c->table.base || options->may_be_absent)
            return c;
        snprintf(why, why_cap, "%s", c->why);
    }
    ballast_client_close(c);
    return NULL;
}

void ballast_client_close(struct ballast_client *c)
{
    if (!c)
        return;
    client_lock(c); /* in a child that never used it: makes it whole */
    client_unlock(c);
    leave_table(c);
    pools_free(c);
    pthread_mutex_destroy(&c->lock);
    born_free(c->born);
    free(c->rows);
    free(c->conf_path);
    free(c);
}

int ballast_client_is_fresh(struct ballast_client *c, char *why, size_t why_cap)
{
    client_lock(c);
    client_look(c, clock_mono_us());
    int fresh = c->fresh;
    if (why_cap)
        snprintf(why, why_cap, "%s", fresh ? "" : c->why);
    client_unlock(c);
    return fresh;
}
