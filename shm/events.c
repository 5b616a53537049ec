/*
 * shm/events.c: see shm/events.h. A writer draws a sequence number, which is its place in the ring,
 * claims the place by its stamp, fills it, and stamps it readable. A writer that was held up for a
 * whole turn of the ring finds a newer stamp and leaves the place alone; if it was held up while
 * filling, it may spoil the newer event, which the check then tells.
 */
#include "shm/events.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "shm/count.h"

#define HOLE_MS 1000u /* a writer that has not finished by then is dead */

static void set_text(char *out, size_t cap, const char *text)
{
    snprintf(out, cap, "%s", text ? text : "");
}

/* Within quotes: quotes and backslashes are escaped, control characters become spaces. */
static void quote(char *out, size_t cap, const char *text)
{
    size_t at = 0;
    for (; *text && at + 2 < cap; text++) {
        if (*text == '"' || *text == '\\')
            out[at++] = '\\';
        out[at++] = (unsigned char)*text < ' ' || *text == 127 ? ' ' : *text;
    }
    out[at] = '\0';
}

/* What it became is worse than what it was: something is degraded. */
static bool is_trouble(const struct event *e)
{
    static const char *const words[] = {"unhealthy", "out",       "open",   "dead",
                                        "stuck",     "refused",   "failed", "unresolved",
                                        "expired",   "unwritable"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(e->to, words[i]) == 0)
            return true;
    return false;
}

static void log_event(const struct event *e)
{
    char object[2 * sizeof e->object], reason[2 * sizeof e->reason];
    enum log_level level = is_trouble(e) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
    if (log_level_now < level)
        return;
    quote(object, sizeof object, e->object);
    quote(reason, sizeof reason, e->reason);
    log_write(level, "event=%s object=\"%s\"%s%s%s%s%s%s%s", e->kind, object,
              e->from[0] ? " from=" : "", e->from, e->to[0] ? " to=" : "", e->to,
              reason[0] ? " reason=\"" : "", reason, reason[0] ? "\"" : "");
}

/* All of an event but its stamp. */
static void *body(struct event *e)
{
    return (char *)e + sizeof e->stamp;
}

#define BODY_BYTES (sizeof(struct event) - sizeof(atom64))

static uint32_t check_of(const struct table *t, struct event *e, uint64_t seq)
{
    uint32_t kept = e->check;
    e->check = 0;
    uint64_t sum = hash_bytes(t->header->key, body(e), BODY_BYTES) + hash_mix64(seq);
    e->check = kept;
    return (uint32_t)sum;
}

/* Marks the place of seq as being written. Returns false when a newer event has it. What another
 * writer left unfinished is taken over. */
static bool claim(struct event *e, uint64_t seq)
{
    uint64_t old = atomic_load(&e->stamp);
    do {
        if (old / 2 >= seq)
            return false;
    } while (!atomic_compare_exchange_weak(&e->stamp, &old, seq * 2 + 1));
    return true;
}

void event_write(struct table *t, uint32_t slot, const char *kind, const char *object,
                 const char *from, const char *to, const char *reason)
{
    struct event text = {.wall_ms = clock_wall_ms(), .slot = slot};
    set_text(text.kind, sizeof text.kind, kind);
    set_text(text.object, sizeof text.object, object);
    set_text(text.from, sizeof text.from, from);
    set_text(text.to, sizeof text.to, to);
    set_text(text.reason, sizeof text.reason, reason);
    uint64_t seq = atomic_fetch_add(&t->header->event_next, 1) + 1, claimed = seq * 2 + 1;
    struct event *e = &t->events[(seq - 1) % EVENT_MAX];
    text.check = check_of(t, &text, seq);
    if (claim(e, seq)) {
        memcpy(body(e), body(&text), BODY_BYTES);
        atomic_compare_exchange_strong(&e->stamp, &claimed, seq * 2);
    }
    log_event(&text);
}

uint64_t event_last(const struct table *t)
{
    return atomic_load(&t->header->event_next);
}

/* Copies one event. Returns false when its place holds no whole event of this number. */
static bool copy(const struct table *t, uint64_t seq, struct event_copy *out)
{
    const struct event *e = &t->events[(seq - 1) % EVENT_MAX];
    struct event text;
    if (atomic_load(&e->stamp) != seq * 2)
        return false;
    memcpy(body(&text), (const char *)e + sizeof e->stamp, BODY_BYTES);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&e->stamp, memory_order_relaxed) != seq * 2 ||
        text.check != check_of(t, &text, seq))
        return false;
    *out = (struct event_copy){.seq = seq, .wall_ms = text.wall_ms, .slot = text.slot};
    /* precision: the bytes may be another writer's, cut anywhere */
    snprintf(out->kind, sizeof out->kind, "%.*s", (int)sizeof text.kind, text.kind);
    snprintf(out->object, sizeof out->object, "%.*s", (int)sizeof text.object, text.object);
    snprintf(out->from, sizeof out->from, "%.*s", (int)sizeof text.from, text.from);
    snprintf(out->to, sizeof out->to, "%.*s", (int)sizeof text.to, text.to);
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof text.reason, text.reason);
    return true;
}

/* A hole before an event this old was left by a dead writer; before a younger one, the writer is
 * about to finish. A clock that was set back says nothing: then the hole is passed. */
static bool is_settled(uint64_t wall_ms)
{
    uint64_t now_ms = clock_wall_ms();
    return now_ms < wall_ms || now_ms - wall_ms >= HOLE_MS;
}

uint32_t event_read(const struct table *t, uint64_t since, struct event_copy *out, uint32_t cap)
{
    uint64_t last = event_last(t);
    uint64_t seq = last > EVENT_MAX && since < last - EVENT_MAX ? last - EVENT_MAX : since;
    uint32_t count = 0;
    bool hole = false;
    for (seq++; seq <= last && count < cap; seq++) {
        if (!copy(t, seq, &out[count])) {
            hole = true;
            continue;
        }
        if (hole && !is_settled(out[count].wall_ms))
            break; /* a reader that goes on from the last one it got misses nothing */
        hole = false;
        count++;
    }
    return count;
}
