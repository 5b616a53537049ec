#include "health/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "health/pace.h"
#include "health/record.h"
#include "health/registry.h"
#include "health/resolve.h"
#include "health/target.h"
#include "shm/lease.h"

#define TARGET_MAGIC   0x54475431u /* "TGT1" */
#define SCHEDULE_MAGIC 0x53434831u /* "SCH1" */
#define TICK_S         0.1
#define COLLECT_S      0.01 /* timers may be that late: those of many backends share a wake-up */
#define LOOK_TICKS     5u
#define FD_RESERVE     64u
#define WARN_EVERY_S   10.0

struct schedule {
    uint32_t magic;
    struct child *child;
    struct lease *lease;            /* of the current generation */
    struct lease *offered;          /* of the next one, between offer and go or abort; else NULL */
    struct target **targets;        /* by entry index */
    uint32_t *members;              /* room for one pool's member list */
    const struct conf_health **own; /* by entry index: a backend's own checks; NULL: its pool's */
    struct target_queue waiting;
    uint32_t waiting_count, running, limit;
    uint32_t membership; /* the table's word as of the last sync */
    uint32_t round;
    uint32_t fresh_count; /* new backends of this sync */
    uint64_t random;
    double warned_s;
    struct registry registry;
    struct resolve *resolve;
    uint32_t ticks;
    bool active, pumping;
    ev_timer tick;
};

static uint64_t draw(struct schedule *s)
{
    return hash_mix64(++s->random);
}

/* At most one of these warnings in ten seconds: the cause is the same for all backends. */
static bool may_warn(struct schedule *s)
{
    double now_s = ev_now(s->child->loop);
    if (now_s - s->warned_s < WARN_EVERY_S)
        return false;
    s->warned_s = now_s;
    return true;
}

static bool is_current(const struct target *t)
{
    const struct entry *e = entry_at(t->schedule->child->table, t->entry);
    return word_get(&e->state) == ROW_LIVE && word_get(&e->incarnation) == t->incarnation;
}

static void set_due(struct target *t, double delay_s)
{
    ev_timer_stop(t->schedule->child->loop, &t->due);
    ev_timer_set(&t->due, delay_s > 0 ? delay_s : 0, 0.);
    ev_timer_start(t->schedule->child->loop, &t->due);
}

/* When the next check is due after one has ended: the pace counts from its start. */
static void set_next(struct target *t)
{
    struct schedule *s = t->schedule;
    uint32_t interval_ms = t->health->interval_ms;
    bool unsure = verdict_unsure(t->verdict);
    double delay_s = t->spread || unsure ? pace_next_s(interval_ms, unsure, draw(s))
                                         : pace_phase_s(interval_ms, draw(s));
    t->spread = t->spread || !unsure;
    set_due(t, t->started_s + delay_s - ev_now(s->child->loop));
}

static void start(struct target *t)
{
    struct schedule *s = t->schedule;
    const struct entry *e = entry_at(s->child->table, t->entry);
    t->phase = TARGET_RUNNING;
    t->started_s = ev_now(s->child->loop);
    t->lease = lease_hold(s->lease);
    s->running++;
    check_start(&t->check, t->health, &e->addr, e->endpoint);
}

static void warn_waiting(struct schedule *s)
{
    if (s->waiting_count > 0 && may_warn(s))
        log_warning("health checks wait for descriptors: running=%u waiting=%u", s->running,
                    s->waiting_count);
}

/* Starts what waits while there are descriptors. A check may end at once and call this again: the
 * outer call goes on. */
static void pump(struct schedule *s)
{
    if (s->pumping)
        return;
    s->pumping = true;
    while (s->running < s->limit && s->waiting_count > 0) {
        struct target *t = TAILQ_FIRST(&s->waiting);
        TAILQ_REMOVE(&s->waiting, t, link);
        s->waiting_count--;
        t->phase = TARGET_IDLE;
        if (is_current(t)) /* else removed since the last tick, and dropped at the next */
            start(t);
    }
    s->pumping = false;
    warn_waiting(s);
}

static void on_due(struct ev_loop *loop UNUSED, ev_timer *w, int revents UNUSED)
{
    struct target *t = CONTAINER_OF(w, struct target, due);
    MAGIC_CHECK(t, TARGET_MAGIC);
    t->phase = TARGET_WAITING;
    TAILQ_INSERT_TAIL(&t->schedule->waiting, t, link);
    t->schedule->waiting_count++;
    pump(t->schedule);
}

static void conclude(struct target *t, const struct check_result *r)
{
    struct child *child = t->schedule->child;
    const struct conf_health *h = t->health;
    if (r->outcome == CHECK_IMPOSSIBLE) {
        if (may_warn(t->schedule))
            log_warning("health check not possible, verdict kept: backend=%s reason=\"%s\"",
                        entry_at(child->table, t->entry)->name, r->reason);
        return;
    }
    t->verdict = verdict_next(t->verdict, r->outcome == CHECK_PASSED, h->healthy_threshold,
                              h->unhealthy_threshold);
    record_write(child->table, child->slot, t->entry, r, t->verdict);
}

static void ended(struct target *t)
{
    t->phase = TARGET_IDLE;
    t->schedule->running--;
    lease_drop(t->lease, t->schedule->child);
    t->lease = NULL;
}

static void on_done(struct check *c, const struct check_result *r)
{
    struct target *t = CONTAINER_OF(c, struct target, check);
    MAGIC_CHECK(t, TARGET_MAGIC);
    ended(t);
    if (is_current(t))
        conclude(t, r);
    set_next(t);
    pump(t->schedule);
}

/* Nothing of it is pending afterwards. */
static void halt(struct target *t)
{
    struct schedule *s = t->schedule;
    ev_timer_stop(s->child->loop, &t->due);
    if (t->phase == TARGET_WAITING) {
        TAILQ_REMOVE(&s->waiting, t, link);
        s->waiting_count--;
    }
    if (t->phase == TARGET_RUNNING) {
        check_abort(&t->check);
        ended(t);
    }
    t->phase = TARGET_IDLE;
}

static void drop(struct schedule *s, uint32_t index)
{
    struct target *t = s->targets[index];
    halt(t);
    MAGIC_CLEAR(t);
    free(t->custom);
    free(t);
    s->targets[index] = NULL;
}

static struct target *make(struct schedule *s, uint32_t index, uint32_t incarnation)
{
    struct target *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    MAGIC_SET(t, TARGET_MAGIC);
    t->schedule = s;
    t->entry = index;
    t->incarnation = incarnation;
    t->verdict = record_read(s->child->table, index);
    ev_init(&t->due, on_due);
    check_init(&t->check, s->child->loop, on_done);
    s->targets[index] = t;
    s->fresh_count++;
    return t;
}

/* A backend of a pool that is not checked counts as healthy; its checks, if the pool had any until
 * now, end. */
static void trust(struct target *t)
{
    struct child *child = t->schedule->child;
    halt(t);
    record_trust(child->table, child->slot, t->entry);
    t->verdict = record_read(child->table, t->entry);
}

/* The table lists this entry in this pool. */
static void meet(struct schedule *s, const struct conf_pool *pool, uint32_t index)
{
    struct target *t = s->targets[index];
    uint32_t incarnation = word_get(&entry_at(s->child->table, index)->incarnation);
    if (t != NULL && t->incarnation != incarnation)
        drop(s, index);
    t = s->targets[index];
    if (t == NULL)
        t = make(s, index, incarnation);
    if (t == NULL) {
        log_error("no memory to check a backend: pool=%s", pool->name);
        return;
    }
    t->round = s->round;
    t->health = s->own[index] != NULL ? s->own[index] : &pool->health;
    const struct entry *e = entry_at(s->child->table, index);
    uint32_t source = word_get(&e->origin) == ORIGIN_DISCOVERY ? word_get(&e->source) : 0;
    const struct conf_health *named = source != 0 ? resolve_health(pool, source) : NULL;
    if (named != NULL)
        t->health = named;
    if (e->check.path[0] != '\0' && lease_is_registered(e))
        t->health = custom_make(&t->custom, &pool->health, &e->check);
    if (t->health->type == CONF_HEALTH_NONE)
        trust(t);
}

/* Gives an idle target its time: a new one soon, one that was checked before (by a process that
 * died, or under a longer interval) somewhere in its interval, so that nothing makes all of them
 * due at once. */
static void arrange(struct target *t)
{
    struct schedule *s = t->schedule;
    const struct conf_health *h = t->health;
    if (h->type == CONF_HEALTH_NONE || t->phase != TARGET_IDLE)
        return;
    bool pending = ev_is_active(&t->due) || ev_is_pending(&t->due);
    double longest_s = pace_next_s(h->interval_ms, verdict_unsure(t->verdict), UINT64_MAX);
    if (pending && ev_timer_remaining(s->child->loop, &t->due) <= longest_s)
        return;
    if (count_get(&entry_at(s->child->table, t->entry)->health_checked_us) == 0)
        set_due(t, pace_first_s(h->interval_ms, s->fresh_count, draw(s)));
    else
        set_due(t, pace_phase_s((uint32_t)(longest_s * 1000), draw(s)));
}

static void settle(struct schedule *s)
{
    uint32_t high = word_get(&s->child->table->header->entries_high);
    for (uint32_t i = 0; i < high; i++) {
        struct target *t = s->targets[i];
        if (t == NULL)
            continue;
        if (t->round == s->round)
            arrange(t);
        else
            drop(s, i);
    }
}

/* Which entries are checked otherwise than their pool. */
static void find_own(struct schedule *s, const struct conf *conf)
{
    memset(s->own, 0, ENTRY_MAX * sizeof(struct conf_health *));
    for (uint32_t p = 0; p < conf->pool_count; p++)
        for (uint32_t i = 0; i < conf->pools[p].backend_count; i++) {
            const struct conf_backend *b = &conf->pools[p].backends[i];
            if (b->health != NULL && b->entry < ENTRY_MAX)
                s->own[b->entry] = b->health;
        }
}

/* Follows the table. The word is read first: what changes meanwhile is seen by the next tick. */
static void sync_members(struct schedule *s)
{
    const struct table *table = s->child->table;
    const struct conf *conf = s->child->conf;
    s->membership = word_get(&table->header->membership);
    s->round++;
    s->fresh_count = 0;
    find_own(s, conf);
    for (uint32_t p = 0; p < conf->pool_count; p++) {
        uint32_t n = entry_members(table, conf->pools[p].row, s->members, ENTRY_MAX);
        for (uint32_t i = 0; i < n; i++)
            meet(s, &conf->pools[p], s->members[i]);
    }
    settle(s);
    pump(s);
}

static void on_tick(struct ev_loop *loop UNUSED, ev_timer *w, int revents UNUSED)
{
    struct schedule *s = CONTAINER_OF(w, struct schedule, tick);
    MAGIC_CHECK(s, SCHEDULE_MAGIC);
    if (++s->ticks % LOOK_TICKS == 0)
        (void)registry_look(&s->registry, s->child->table, s->child->slot, clock_mono_us());
    if (word_get(&s->child->table->header->membership) != s->membership)
        sync_members(s);
}

static uint32_t descriptor_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == -1 || r.rlim_cur <= 2 * FD_RESERVE)
        return FD_RESERVE;
    return r.rlim_cur - FD_RESERVE > ENTRY_MAX ? ENTRY_MAX : (uint32_t)(r.rlim_cur - FD_RESERVE);
}

struct schedule *schedule_new(struct child *child)
{
    struct schedule *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    MAGIC_SET(s, SCHEDULE_MAGIC);
    s->child = child;
    s->lease = lease_new(child->conf);
    s->targets = calloc(ENTRY_MAX, sizeof(struct target *));
    s->members = calloc(ENTRY_MAX, sizeof(uint32_t));
    s->own = calloc(ENTRY_MAX, sizeof(struct conf_health *));
    s->resolve = resolve_new(child);
    s->limit = descriptor_limit();
    s->random = clock_mono_us() ^ ((uint64_t)getpid() << 32);
    s->warned_s = -WARN_EVERY_S;
    TAILQ_INIT(&s->waiting);
    ev_timer_init(&s->tick, on_tick, TICK_S, TICK_S);
    if (s->lease != NULL && s->targets != NULL && s->members != NULL && s->own != NULL &&
        s->resolve != NULL)
        return s;
    schedule_free(s);
    return NULL;
}

void schedule_begin(struct schedule *s)
{
    s->active = true;
    ev_set_timeout_collect_interval(s->child->loop, COLLECT_S);
    ev_now_update(s->child->loop);
    ev_timer_start(s->child->loop, &s->tick);
    sync_members(s);
    resolve_begin(s->resolve);
}

int schedule_offer(struct schedule *s, const struct conf *next)
{
    assert(s->offered == NULL);
    s->offered = lease_new(next);
    return s->offered == NULL ? -1 : 0;
}

void schedule_withdraw(struct schedule *s)
{
    free(s->offered);
    s->offered = NULL;
}

void schedule_adopt(struct schedule *s)
{
    struct lease *old = s->lease;
    assert(s->offered != NULL && s->offered->conf == s->child->conf);
    s->lease = s->offered;
    s->offered = NULL;
    if (s->active) {
        resolve_begin(s->resolve);
        sync_members(s);
    }
    lease_drop(old, s->child);
}

void schedule_stop(struct schedule *s)
{
    s->active = false;
    ev_timer_stop(s->child->loop, &s->tick);
    resolve_stop(s->resolve);
    for (uint32_t i = 0; i < ENTRY_MAX; i++)
        if (s->targets[i] != NULL)
            drop(s, i);
}

void schedule_free(struct schedule *s)
{
    if (s->resolve != NULL)
        resolve_free(s->resolve);
    free(s->lease);
    free(s->offered);
    free(s->targets);
    free(s->members);
    free(s->own);
    MAGIC_CLEAR(s);
    free(s);
}

uint32_t schedule_running(const struct schedule *s)
{
    return s->running;
}

uint32_t schedule_waiting(const struct schedule *s)
{
    return s->waiting_count;
}
