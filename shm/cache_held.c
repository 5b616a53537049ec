/*
 * shm/cache_held.c: objects that are found only through another one. See shm/cache.h. Two kinds:
 *
 *   the body of a response that was confirmed: a new object has the new head, and says in its
 *       `about` whose blocks hold the body. That one's `owner` is the version of the last that
 *       took it over: it goes with that one
 *   a coded form: the object that holds the body names it in `coded`
 *
 * Who takes an object out lets go of what it held. What is held by nobody any more (a process died,
 * or two did this at a time) is not asked for, and the hand finds it.
 */
#include "shm/cache_int.h"

static uint64_t make_link(uint32_t entry, uint32_t version)
{
    return (uint64_t)version << 32 | entry;
}

static bool is_link(const struct table *t, uint64_t link)
{
    return link >> 32 != 0 && (uint32_t)link < word_get(&t->header->cache_reserved);
}

static uint64_t word_of_held(uint64_t link)
{
    return word_make(WORD_HELD, 0, (uint32_t)(link >> 32));
}

/* ---- letting go ---- */

static void read_coded(const struct table *t, uint64_t link, struct cache_held *out)
{
    for (uint32_t i = 0; i < CACHE_CODINGS; i++)
        out->links[out->count++] = count_get(&t->cache_entries[(uint32_t)link].coded[i]);
}

/* Read before the object is taken out: afterwards its place may be another's at once. */
void cache_held_read(const struct table *t, uint32_t entry, uint32_t version,
                     struct cache_held *out)
{
    const struct cache_entry *e = &t->cache_entries[entry];
    uint64_t body = make_link(e->about.body_entry, e->about.body_version);
    *out = (struct cache_held){0};
    read_coded(t, make_link(entry, version), out);
    if (!is_link(t, body) || word_get(&t->cache_entries[(uint32_t)body].owner) != version)
        return;
    read_coded(t, body, out);
    out->links[out->count++] = body;
}

void cache_held_release(struct table *t, uint32_t slot, const struct cache_held *held)
{
    for (uint32_t i = 0; i < held->count; i++) {
        uint64_t link = held->links[i], expected = word_of_held(link);
        uint32_t version = (uint32_t)(link >> 32);
        if (is_link(t, link) &&
            atomic_compare_exchange_strong(&t->cache_words[(uint32_t)link], &expected,
                                           word_make(WORD_DYING, 0, version)))
            cache_free_if_unread(t, slot, (uint32_t)link, version);
    }
}

bool cache_held_kill(struct table *t, uint32_t slot, uint32_t entry, uint32_t version)
{
    struct cache_held held;
    cache_held_read(t, entry, version, &held);
    held.links[held.count++] = make_link(entry, version);
    uint64_t word = atomic_load(&t->cache_words[entry]);
    cache_held_release(t, slot, &held);
    return word == word_of_held(make_link(entry, version));
}

/* ---- pins ---- */

static bool pin_held(struct table *t, uint32_t slot, uint64_t link)
{
    struct cache_ref r;
    if (!is_link(t, link) || !cache_pin_as(t, slot, (uint32_t)link, WORD_HELD, &r))
        return false;
    if (r.version == link >> 32)
        return true;
    cache_unpin(t, slot, &r);
    return false;
}

static void swap_pin(struct table *t, uint32_t slot, struct cache_ref *r, uint64_t link)
{
    cache_unpin_held(t, slot, r);
    r->held = (uint32_t)link;
    r->held_version = (uint32_t)(link >> 32);
}

void cache_unpin_held(struct table *t, uint32_t slot, struct cache_ref *r)
{
    if (r->held_version == 0)
        return;
    struct cache_ref held = {.entry = r->held, .version = r->held_version};
    r->held_version = 0;
    cache_unpin(t, slot, &held);
}

bool cache_pin_body(struct table *t, uint32_t slot, struct cache_ref *r)
{
    const struct cache_about *a = cache_about(t, r);
    uint64_t body = make_link(a->body_entry, a->body_version);
    if (a->body_version == 0)
        return true;
    if (!pin_held(t, slot, body))
        return false;
    swap_pin(t, slot, r, body);
    return true;
}

/* ---- a body that another head takes over ---- */

/* It is found no more by itself. Two may do this at a time: the later owns it. */
static bool hold(struct table *t, uint64_t link)
{
    uint32_t entry = (uint32_t)link, version = (uint32_t)(link >> 32);
    uint64_t expected = word_make(WORD_LIVE, 0, version);
    if (atomic_compare_exchange_strong(&t->cache_words[entry], &expected, word_of_held(link))) {
        cache_index_drop(t, entry);
        return true;
    }
    return expected == word_of_held(link);
}

static uint64_t holder_of(const struct cache_ref *r)
{
    return r->held_version ? make_link(r->held, r->held_version) : make_link(r->entry, r->version);
}

bool cache_take_body(struct table *t, const struct cache_ref *from, const struct cache_fill *f,
                     struct cache_about *about)
{
    uint64_t body = holder_of(from);
    if (!hold(t, body))
        return false;
    word_set(&t->cache_entries[(uint32_t)body].owner, f->version);
    word_set(&t->cache_entries[(uint32_t)body].used, 1);
    about->body_entry = (uint32_t)body;
    about->body_version = (uint32_t)(body >> 32);
    about->body_bytes = cache_about(t, from)->body_bytes;
    return true;
}

/* ---- coded forms ---- */

uint64_t cache_coded_place(const struct cache_ref *r)
{
    return holder_of(r);
}

static atom64 *coded_of(const struct table *t, uint64_t holder, uint8_t coding)
{
    return &t->cache_entries[(uint32_t)holder].coded[coding - 1];
}

bool cache_take_coded(struct table *t, uint32_t slot, struct cache_ref *r, uint8_t coding,
                      uint8_t level, uint64_t *bytes)
{
    uint64_t link = count_get(coded_of(t, holder_of(r), coding));
    if (!pin_held(t, slot, link))
        return false;
    struct cache_entry *e = &t->cache_entries[(uint32_t)link];
    if (e->about.kind != CACHE_CODED || e->about.coding != coding || e->about.level != level) {
        struct cache_ref other = {.entry = (uint32_t)link, .version = (uint32_t)(link >> 32)};
        cache_unpin(t, slot, &other);
        return false;
    }
    swap_pin(t, slot, r, link);
    r->block = (uint32_t)link;
    r->at = 0;
    word_set(&e->used, 1);
    *bytes = e->about.body_bytes;
    return true;
}

/* The holder, if it still is one: then it stays while we look. */
static bool pin_holder(struct table *t, uint32_t slot, uint64_t holder, struct cache_ref *r)
{
    uint32_t entry = (uint32_t)holder;
    if (!cache_pin_as(t, slot, entry, WORD_LIVE, r) && !cache_pin_as(t, slot, entry, WORD_HELD, r))
        return false;
    if (r->version == holder >> 32)
        return true;
    cache_unpin(t, slot, r);
    return false;
}

void cache_fill_attach(struct table *t, uint32_t slot, struct cache_fill *f,
                       const struct cache_about *about, uint64_t holder)
{
    struct cache_ref r;
    struct cache_held gone = {0};
    cache_fill_close(t, f, about);
    word_set(&t->cache_entries[f->head].used, 1);
    atomic_store(&t->cache_words[f->head], word_make(WORD_HELD, 0, f->version));
    gone.links[gone.count++] = make_link(f->head, f->version);
    if (pin_holder(t, slot, holder, &r)) { /* in place of one of another level */
        gone.links[0] = atomic_exchange(coded_of(t, holder, about->coding), gone.links[0]);
        cache_unpin(t, slot, &r);
    }
    cache_held_release(t, slot, &gone);
}
