/* shm/passive.c: see shm/passive.h. */
#include "shm/passive.h"

#include <stdio.h>
#include "shm/events.h"
#include "shm/pool.h"
#include "shm/ramp.h"

/* The word: ejected << 63 | fails << 48 | time in ms (48 bits): of the first failure of the window,
 * or until when it is out. */
#define EJECTED     (1ull << 63)
#define FAILS_MAX   0x7fffu
#define TIME_MASK   ((1ull << 48) - 1)
#define FAILS_OF(w) ((uint32_t)((w) >> 48) & FAILS_MAX)

static uint64_t make(uint64_t flags, uint32_t fails, uint64_t ms)
{
    return flags | (uint64_t)fails << 48 | (ms & TIME_MASK);
}

bool passive_ejected(const struct entry *e)
{
    return (count_get(&e->passive) & EJECTED) != 0;
}

uint64_t passive_until_us(const struct entry *e)
{
    uint64_t word = count_get(&e->passive);
    return word & EJECTED ? (word & TIME_MASK) * 1000 : 0;
}

static void announce(struct table *t, uint32_t entry, uint32_t slot, const char *from,
                     const char *to, const char *reason)
{
    const struct entry *e = entry_at(t, entry);
    char object[2 * NAME_MAX_BYTES + 2];
    snprintf(object, sizeof object, "%s:%s", pool_at(t, word_get(&e->pool))->name, e->name);
    event_write(t, slot, "passive", object, from, to, reason);
    if (!passive_ejected(e))
        ramp_begin(t, entry);
    pool_touch(t, word_get(&e->pool));
}

/* Two workers that take out the last two at once both see that nobody is left, and both give way.
 */
static bool eject(struct table *t, uint32_t entry, uint32_t slot, uint64_t word, uint64_t until_us,
                  const char *reason)
{
    struct entry *e = entry_at(t, entry);
    uint32_t pool = word_get(&e->pool);
    uint64_t out = make(EJECTED, FAILS_OF(word), until_us / 1000);
    pool_recheck_at(t, pool, until_us); /* first: should we be killed, it still comes back */
    if (!atomic_compare_exchange_strong(&e->passive, &word, out))
        return false; /* somebody else did, or it is back */
    if (!pool_has_usable(t, pool)) {
        uint64_t back = 0;
        atomic_compare_exchange_strong(&e->passive, &out, back);
        return false;
    }
    announce(t, entry, slot, "in", "out", reason);
    return true;
}

bool passive_failed(struct table *t, uint32_t entry, uint32_t slot, uint32_t max_fails,
                    uint32_t fail_timeout_ms, uint64_t now_us, const char *reason)
{
    struct entry *e = entry_at(t, entry);
    uint64_t word = count_get(&e->passive), now_ms = now_us / 1000;
    for (;;) {
        if (word & EJECTED)
            return false;
        uint64_t since_ms = word & TIME_MASK;
        bool fresh = FAILS_OF(word) == 0 || now_ms - since_ms > fail_timeout_ms;
        uint32_t fails = fresh ? 1 : FAILS_OF(word) + 1;
        uint64_t to = make(0, fails < FAILS_MAX ? fails : FAILS_MAX, fresh ? now_ms : since_ms);
        if (!atomic_compare_exchange_strong(&e->passive, &word, to))
            continue;
        if (fails < max_fails)
            return false;
        return eject(t, entry, slot, to, now_us + fail_timeout_ms * 1000ull, reason);
    }
}

uint64_t passive_tick(struct table *t, uint32_t entry, uint32_t slot, uint64_t now_us,
                      bool *changed)
{
    struct entry *e = entry_at(t, entry);
    uint64_t word = count_get(&e->passive);
    if (!(word & EJECTED))
        return 0;
    if ((word & TIME_MASK) > now_us / 1000)
        return (word & TIME_MASK) * 1000;
    if (atomic_compare_exchange_strong(&e->passive, &word, 0)) {
        announce(t, entry, slot, "out", "in", "its time is over");
        *changed = true;
    }
    return 0;
}

void passive_clear(struct table *t, uint32_t entry)
{
    struct entry *e = entry_at(t, entry);
    if (atomic_exchange(&e->passive, 0) & EJECTED)
        pool_touch(t, word_get(&e->pool));
}
