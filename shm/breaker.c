/* shm/breaker.c: see shm/breaker.h. */
#include "shm/breaker.h"

#include <stdio.h>
#include "shm/events.h"
#include "shm/pool.h"
#include "shm/ramp.h"

#define TICK_US 10000u /* the word keeps time in hundredths of a second */

/* The word: state | epoch << 8 | count << 16 | tickets << 24 | until << 32. The epoch is never 0.
 */
struct breaker {
    uint8_t state; /* enum entry_breaker */
    uint8_t epoch; /* of the tickets */
    uint8_t count; /* closed: failures in a row; half-open: successes */
    uint8_t tickets;
    uint32_t until; /* open, half-open: in ticks, modulo 2^32 */
};

static struct breaker unpack(uint64_t word)
{
    return (struct breaker){(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
                            (uint8_t)(word >> 24), (uint32_t)(word >> 32)};
}

static uint64_t pack(struct breaker b)
{
    return b.state | (uint64_t)b.epoch << 8 | (uint64_t)b.count << 16 | (uint64_t)b.tickets << 24 |
           (uint64_t)b.until << 32;
}

static uint32_t ticks(uint64_t us)
{
    return (uint32_t)((us + TICK_US - 1) / TICK_US);
}

static bool swap(struct entry *e, uint64_t *word, struct breaker to)
{
    return atomic_compare_exchange_strong(&e->breaker, word, pack(to));
}

enum entry_breaker breaker_state(const struct entry *e)
{
    return (enum entry_breaker)unpack(count_get(&e->breaker)).state;
}

uint64_t breaker_open_until_us(const struct entry *e, uint64_t now_us)
{
    struct breaker b = unpack(count_get(&e->breaker));
    int32_t left = (int32_t)(b.until - ticks(now_us));
    return b.state == BREAKER_OPEN && left > 0 ? now_us + (uint64_t)left * TICK_US : 0;
}

const char *breaker_state_name(enum entry_breaker state)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_HALF_OPEN] = "half_open", [BREAKER_OPEN] = "open"};
    return (size_t)state < ARRAY_LEN(names) ? names[state] : "unknown";
}

static void announce(struct table *t, uint32_t entry, uint32_t slot, uint8_t from, uint8_t to,
                     const char *reason)
{
    const struct entry *e = entry_at(t, entry);
    char object[2 * NAME_MAX_BYTES + 2];
    snprintf(object, sizeof object, "%s:%s", pool_at(t, word_get(&e->pool))->name, e->name);
    event_write(t, slot, "breaker", object, breaker_state_name(from), breaker_state_name(to),
                reason);
    if (to == BREAKER_CLOSED)
        ramp_begin(t, entry);
    pool_touch(t, word_get(&e->pool));
}

static struct breaker half_open(struct breaker b, uint32_t timeout_ms, uint64_t now_us)
{
    b.state = BREAKER_HALF_OPEN;
    b.epoch = b.epoch == UINT8_MAX ? 1 : (uint8_t)(b.epoch + 1);
    b.count = b.tickets = 0;
    b.until = ticks(now_us + timeout_ms * 1000ull);
    return b;
}

bool breaker_admit(struct table *t, uint32_t entry, const struct breaker_rule *rule,
                   uint32_t *ticket)
{
    struct entry *e = entry_at(t, entry);
    uint64_t word = count_get(&e->breaker);
    *ticket = BREAKER_NO_TICKET;
    for (;;) {
        struct breaker b = unpack(word);
        if (b.state == BREAKER_CLOSED)
            return true;
        if (b.state == BREAKER_OPEN || b.tickets >= rule->success_threshold)
            return false;
        b.tickets++;
        if (swap(e, &word, b)) {
            *ticket = b.epoch;
            return true;
        }
    }
}

bool breaker_success(struct table *t, uint32_t entry, uint32_t slot,
                     const struct breaker_rule *rule, uint32_t ticket)
{
    struct entry *e = entry_at(t, entry);
    uint64_t word = count_get(&e->breaker);
    for (;;) {
        struct breaker b = unpack(word);
        if (b.state == BREAKER_CLOSED ? b.count == 0 : b.state == BREAKER_OPEN || ticket != b.epoch)
            return false;
        bool closes = b.state == BREAKER_HALF_OPEN && b.count + 1u >= rule->success_threshold;
        struct breaker to = b;
        to.count = b.state == BREAKER_CLOSED ? 0 : (uint8_t)(b.count + 1);
        if (closes)
            to = (struct breaker){.state = BREAKER_CLOSED, .epoch = b.epoch};
        if (!swap(e, &word, to))
            continue;
        if (closes)
            announce(t, entry, slot, BREAKER_HALF_OPEN, BREAKER_CLOSED, "probes succeeded");
        return closes;
    }
}

bool breaker_failure(struct table *t, uint32_t entry, uint32_t slot,
                     const struct breaker_rule *rule, uint32_t ticket, uint64_t now_us,
                     const char *reason)
{
    struct entry *e = entry_at(t, entry);
    uint64_t word = count_get(&e->breaker), until_us = now_us + rule->timeout_ms * 1000ull;
    for (;;) {
        struct breaker b = unpack(word), to = b;
        if (b.state == BREAKER_OPEN || (b.state == BREAKER_HALF_OPEN && ticket != b.epoch))
            return false;
        bool opens = b.state == BREAKER_HALF_OPEN || b.count + 1u >= rule->failure_threshold;
        to.count = (uint8_t)(b.count + 1);
        if (opens)
            to =
                (struct breaker){.state = BREAKER_OPEN, .epoch = b.epoch, .until = ticks(until_us)};
        if (opens) /* first: a killed worker must not leave it open for ever */
            pool_recheck_at(t, word_get(&e->pool), until_us);
        if (!swap(e, &word, to))
            continue;
        if (opens)
            announce(t, entry, slot, b.state, BREAKER_OPEN, reason);
        return opens;
    }
}

void breaker_return(struct table *t, uint32_t entry, uint32_t ticket)
{
    struct entry *e = entry_at(t, entry);
    uint64_t word = count_get(&e->breaker);
    while (ticket != BREAKER_NO_TICKET) {
        struct breaker b = unpack(word);
        if (b.state != BREAKER_HALF_OPEN || b.epoch != ticket || b.tickets == 0)
            return;
        b.tickets--;
        if (swap(e, &word, b))
            return;
    }
}

uint64_t breaker_tick(struct table *t, uint32_t entry, uint32_t slot, uint32_t timeout_ms,
                      uint64_t now_us, bool *changed)
{
    struct entry *e = entry_at(t, entry);
    uint64_t word = count_get(&e->breaker);
    for (;;) {
        struct breaker b = unpack(word);
        if (b.state == BREAKER_CLOSED)
            return 0;
        int32_t left = (int32_t)(b.until - ticks(now_us));
        if (left > 0)
            return now_us + (uint64_t)left * TICK_US;
        if (!swap(e, &word, half_open(b, timeout_ms, now_us)))
            continue;
        if (b.state == BREAKER_OPEN) {
            announce(t, entry, slot, BREAKER_OPEN, BREAKER_HALF_OPEN, "its time is over");
            *changed = true;
        }
        return now_us + timeout_ms * 1000ull;
    }
}

void breaker_clear(struct table *t, uint32_t entry)
{
    struct entry *e = entry_at(t, entry);
    if (breaker_state(e) == BREAKER_CLOSED)
        return;
    atomic_store(&e->breaker, BREAKER_CLOSED);
    pool_touch(t, word_get(&e->pool));
}
