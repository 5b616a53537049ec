/* The store of responses: what comes back, room, pins, claims, and processes that die anywhere. */
#include "shm/cache.h"
#include "base/clock.h"
#include "base/hash.h"
#include "tests/unit/shm/fixture.h"

#define MIB (1024u * 1024)

static struct table *make_cache(uint32_t workers, uint64_t bytes)
{
    struct table *t = make_table();
    make_workers(t, workers);
    table_lock(t);
    CHECK_EQ(cache_prepare(t, bytes), 0);
    table_unlock(t);
    return t;
}

static struct cache_key key_of(const struct table *t, const char *text)
{
    return (struct cache_key){.hash = hash_bytes(t->header->key, text, strlen(text)),
                              .address = (unsigned char)text[0],
                              .text = text,
                              .len = (uint32_t)strlen(text),
                              .vary = ""};
}

/* The body is determined by the key, so that any mixture of two is seen. */
static char byte_of(const char *key, uint32_t at)
{
    return (char)(hash_mix64((uint64_t)(unsigned char)key[strlen(key) - 1] + at / 64) + at);
}

static bool put(struct table *t, uint32_t slot, const char *key, uint32_t body, uint64_t now)
{
    struct cache_key k = key_of(t, key);
    struct cache_fill f;
    char part[1000];
    if (!cache_fill_begin(t, slot, &f))
        return false;
    bool good =
        cache_fill_write(t, slot, &f, key, k.len) && cache_fill_write(t, slot, &f, "head", 4);
    for (uint32_t at = 0; at < body && good;) {
        uint32_t n = body - at < sizeof part ? body - at : (uint32_t)sizeof part;
        for (uint32_t i = 0; i < n; i++)
            part[i] = byte_of(key, at + i);
        good = cache_fill_write(t, slot, &f, part, n);
        at += n;
    }
    if (!good) {
        cache_fill_abort(t, &f);
        return false;
    }
    cache_fill_publish(t, slot, &f,
                       &(struct cache_about){.hash = k.hash,
                                             .made_us = now,
                                             .body_bytes = body,
                                             .key_bytes = k.len,
                                             .head_bytes = 4,
                                             .epoch = cache_guard_of(t, k.address).epoch,
                                             .address = k.address,
                                             .status = 200});
    return true;
}

/* Length of its body, -1: not there; -2: torn. */
static int64_t check(const struct table *t, const char *key, struct cache_ref *r)
{
    char head[4], part[777];
    uint64_t body = cache_about(t, r)->body_bytes;
    if (cache_read(t, r, head, 4) != 4 || memcmp(head, "head", 4) != 0)
        return -2;
    cache_seek_body(t, r, 0);
    for (uint64_t at = 0; at < body;) {
        uint32_t n = body - at < sizeof part ? (uint32_t)(body - at) : (uint32_t)sizeof part;
        if (cache_read(t, r, part, n) != n)
            return -2;
        for (uint32_t i = 0; i < n; i++)
            if (part[i] != byte_of(key, (uint32_t)at + i))
                return -2;
        at += n;
    }
    return (int64_t)body;
}

static int64_t get(struct table *t, uint32_t slot, const char *key)
{
    struct cache_key k = key_of(t, key);
    struct cache_ref r;
    if (!cache_find(t, slot, &k, &r))
        return -1;
    cache_touch(t, &r);
    int64_t body = check(t, key, &r);
    cache_unpin(t, slot, &r);
    return body;
}

static uint32_t used(const struct table *t)
{
    struct cache_usage u;
    cache_usage(t, &u);
    return u.blocks_used;
}

/* Blocks that could be taken now: everything is evicted by one object that fills it. */
static uint32_t free_blocks(struct table *t)
{
    struct cache_fill f;
    char block[CACHE_BLOCK_BYTES] = {0};
    uint32_t count = 0;
    if (!cache_fill_begin(t, 0, &f))
        return 0;
    for (int tries = 0; tries < 16; tries++) /* a second chance each, and a bound of steps */
        while (cache_fill_write(t, 0, &f, block, sizeof block))
            tries = 0;
    count = f.blocks;
    cache_fill_abort(t, &f);
    return count;
}

TEST(what_is_put_comes_back)
{
    static const uint32_t sizes[] = {0, 1, 4000, 4083, 4084, 4085, 4096, 8192, 100000};
    struct table *t = make_cache(2, 4 * MIB);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char key[16];
        snprintf(key, sizeof key, "key %zu", i);
        CHECK_EQ(get(t, 1, key), -1);
        CHECK(put(t, 0, key, sizes[i], i));
        CHECK_EQ(get(t, 1, key), sizes[i]);
    }
    CHECK_EQ(get(t, 1, "key"), -1);
}

TEST(a_second_one_replaces_the_first)
{
    struct table *t = make_cache(1, MIB);
    CHECK(put(t, 0, "k", 10, 1));
    CHECK(put(t, 0, "k", 20000, 2));
    CHECK_EQ(get(t, 0, "k"), 20000);
    CHECK_EQ(used(t), 5);
    CHECK(put(t, 0, "k", 5, 1)); /* came late */
    CHECK_EQ(get(t, 0, "k"), 20000);
    CHECK_EQ(used(t), 5);
}

TEST(variants)
{
    struct table *t = make_cache(1, MIB);
    struct cache_key a = key_of(t, "k"), b = a;
    struct cache_fill f;
    struct cache_ref r;
    a.vary = "de";
    a.vary_len = 2;
    b.vary = "en";
    b.vary_len = 2;
    CHECK(cache_fill_begin(t, 0, &f) && cache_fill_write(t, 0, &f, "kde", 3));
    cache_fill_publish(t, 0, &f,
                       &(struct cache_about){.hash = a.hash, .key_bytes = 1, .vary_bytes = 2});
    CHECK(!cache_find(t, 0, &b, &r));
    CHECK(cache_find(t, 0, &a, &r));
    cache_unpin(t, 0, &r);
}

TEST(full_it_makes_room_and_keeps_what_is_wanted)
{
    struct table *t = make_cache(1, MIB); /* 256 blocks */
    CHECK(put(t, 0, "hot", 5000, 0));
    for (uint32_t i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)i);
        CHECK(put(t, 0, key, i % 3 * 4000, i));
        if (i % 20 == 0)
            CHECK_EQ(get(t, 0, "hot"), 5000);
    }
    CHECK(used(t) <= 256 && used(t) > 128);
    CHECK(cache_cell_sum(t, offsetof(struct ccell, evicted)) > 4000);
    CHECK(free_blocks(t) >= 250);
}

/* As a 304 does: another head before the same body. */
static bool confirm(struct table *t, uint32_t slot, const char *key, uint64_t now)
{
    struct cache_key k = key_of(t, key);
    struct cache_fill f;
    struct cache_ref r;
    if (!cache_find(t, slot, &k, &r))
        return false;
    struct cache_about about = *cache_about(t, &r);
    about.made_us = now;
    bool good = cache_fill_begin(t, slot, &f) && cache_fill_write(t, slot, &f, key, k.len) &&
                cache_fill_write(t, slot, &f, "head", 4) && cache_take_body(t, &r, &f, &about);
    CHECK(good);
    cache_fill_publish(t, slot, &f, &about);
    cache_unpin(t, slot, &r);
    return true;
}

/* A form of `body` bytes, all of them the coding's number. */
static bool attach(struct table *t, uint32_t slot, const char *key, uint8_t coding, uint8_t level,
                   uint32_t body)
{
    struct cache_key k = key_of(t, key);
    struct cache_fill f;
    struct cache_ref r;
    char part[500];
    memset(part, coding, sizeof part);
    if (!cache_find(t, slot, &k, &r))
        return false;
    uint64_t place = cache_coded_place(&r);
    cache_unpin(t, slot, &r);
    bool good = cache_fill_begin(t, slot, &f);
    CHECK(good);
    for (uint32_t at = 0; at < body && good; at += (uint32_t)sizeof part)
        good = cache_fill_write(t, slot, &f, part, sizeof part);
    if (!good) {
        cache_fill_abort(t, &f);
        return false;
    }
    cache_fill_attach(
        t, slot, &f,
        &(struct cache_about){
            .kind = CACHE_CODED, .coding = coding, .level = level, .body_bytes = body},
        place);
    return true;
}

/* Its length; -1: not there, -2: another's bytes. */
static int64_t get_coded(struct table *t, uint32_t slot, const char *key, uint8_t coding,
                         uint8_t level)
{
    struct cache_key k = key_of(t, key);
    struct cache_ref r;
    uint64_t bytes = 0;
    char part[500];
    if (!cache_find(t, slot, &k, &r))
        return -1;
    int64_t found = cache_take_coded(t, slot, &r, coding, level, &bytes) ? (int64_t)bytes : -1;
    for (uint64_t at = 0; found > 0 && at < bytes; at += sizeof part)
        if (cache_read(t, &r, part, sizeof part) != sizeof part || part[0] != coding ||
            memcmp(part, part + 1, sizeof part - 1) != 0)
            found = -2;
    cache_unpin(t, slot, &r);
    return found;
}

TEST(a_body_behind_another_head)
{
    struct table *t = make_cache(1, MIB);
    struct cache_key k = key_of(t, "k");
    struct cache_ref r;
    CHECK(put(t, 0, "k", 20000, 1));
    CHECK(cache_find(t, 0, &k, &r)); /* somebody reads it meanwhile */
    for (uint64_t i = 2; i < 10; i++) {
        CHECK(confirm(t, 0, "k", i));
        CHECK_EQ(get(t, 0, "k"), 20000);
        CHECK_EQ(used(t), 6);
    }
    CHECK_EQ(check(t, "k", &r), 20000);
    cache_unpin(t, 0, &r);
    CHECK(cache_find(t, 0, &k, &r));
    cache_invalidate(t, 0, &k);
    CHECK_EQ(get(t, 0, "k"), -1);
    CHECK_EQ(check(t, "k", &r), 20000); /* until nobody does */
    cache_unpin(t, 0, &r);
    CHECK_EQ(used(t), 0);
    CHECK(free_blocks(t) >= 250);
}

TEST(coded_forms)
{
    struct table *t = make_cache(1, MIB);
    struct cache_key k = key_of(t, "k");
    CHECK(put(t, 0, "k", 20000, 1));
    CHECK(attach(t, 0, "k", 1, 6, 6000) && attach(t, 0, "k", 3, 6, 3000));
    CHECK_EQ(get_coded(t, 0, "k", 1, 6), 6000);
    CHECK_EQ(get_coded(t, 0, "k", 3, 6), 3000);
    CHECK_EQ(get_coded(t, 0, "k", 2, 6), -1);
    CHECK_EQ(get_coded(t, 0, "k", 1, 9), -1);
    CHECK_EQ(get(t, 0, "k"), 20000);
    CHECK_EQ(used(t), 5 + 2 + 1);
    CHECK(attach(t, 0, "k", 1, 9, 500)); /* in place of the other level */
    CHECK_EQ(get_coded(t, 0, "k", 1, 9), 500);
    CHECK_EQ(used(t), 5 + 1 + 1);
    CHECK(confirm(t, 0, "k", 2)); /* they stay with the body */
    CHECK_EQ(get_coded(t, 0, "k", 3, 6), 3000);
    CHECK(attach(t, 0, "k", 2, 6, 500));
    CHECK_EQ(used(t), 1 + 5 + 3);
    CHECK(put(t, 0, "k", 100, 3)); /* another response */
    CHECK_EQ(get_coded(t, 0, "k", 3, 6), -1);
    CHECK_EQ(used(t), 1);
    cache_invalidate(t, 0, &k);
    CHECK(!attach(t, 0, "k", 3, 6, 500));
    CHECK_EQ(used(t), 0);
}

TEST(a_form_of_what_is_gone_is_gone)
{
    struct table *t = make_cache(1, MIB);
    struct cache_key k = key_of(t, "k");
    struct cache_fill f;
    struct cache_ref r;
    CHECK(put(t, 0, "k", 20000, 1));
    CHECK(cache_find(t, 0, &k, &r));
    uint64_t place = cache_coded_place(&r);
    cache_unpin(t, 0, &r);
    CHECK(cache_fill_begin(t, 0, &f) && cache_fill_write(t, 0, &f, "abc", 3));
    cache_invalidate(t, 0, &k);
    cache_fill_attach(t, 0, &f, &(struct cache_about){.kind = CACHE_CODED, .coding = 1}, place);
    CHECK_EQ(used(t), 0);
    CHECK(free_blocks(t) >= 250);
}

TEST(what_is_held_makes_way_too)
{
    struct table *t = make_cache(1, MIB); /* 256 blocks */
    for (uint32_t i = 0; i < 6000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)(hash_mix64(i) % 150));
        if (get(t, 0, key) == -1)
            CHECK(put(t, 0, key, i % 3 * 4000, i));
        int64_t body = get(t, 0, key);
        CHECK(body >= 0); /* there, and not torn */
        if (i % 2)
            CHECK(confirm(t, 0, key, i));
        if (i % 5 == 0)
            CHECK(attach(t, 0, key, (uint8_t)(1 + i % 3), 6, 5000));
        int64_t coded = get_coded(t, 0, key, (uint8_t)(1 + i % 3), 6);
        CHECK(coded == 5000 || coded == -1);
        CHECK(used(t) <= 256);
    }
    CHECK(free_blocks(t) >= 250);
}

TEST(what_is_outdated_is_not_shown)
{
    struct table *t = make_cache(1, MIB);
    struct cache_key one = key_of(t, "k1"), other = one;
    static struct cache_view v;
    struct cache_usage u;
    uint32_t seen = 0;
    CHECK(put(t, 0, "k1", 100, 1) && put(t, 0, "a", 100, 1));
    other.text = "x"; /* the same address by another key */
    other.len = 1;
    cache_invalidate(t, 0, &other);
    cache_usage(t, &u);
    CHECK_EQ(u.objects, 1);
    CHECK_EQ(u.blocks_used, 2);
    for (uint32_t b = 0; b < 256; b++)
        if (cache_look(t, 0, b, &v)) {
            CHECK_STR(v.key, "a");
            seen++;
        }
    CHECK_EQ(seen, 1);
    CHECK_EQ(used(t), 1);
}

TEST(one_that_does_not_fit_is_given_up)
{
    struct table *t = make_cache(1, MIB);
    for (int i = 0; i < 5; i++)
        CHECK(!put(t, 0, "large", 2 * MIB, 1));
    CHECK(put(t, 0, "small", 100000, 1));
    CHECK_EQ(get(t, 0, "small"), 100000);
}

TEST(a_reader_keeps_it)
{
    struct table *t = make_cache(2, MIB);
    struct cache_key k = key_of(t, "k");
    struct cache_ref r;
    CHECK(put(t, 0, "k", 50000, 1));
    CHECK(cache_find(t, 1, &k, &r));
    cache_invalidate(t, 0, &k);
    CHECK_EQ(get(t, 0, "k"), -1);
    CHECK(free_blocks(t) <= 256 - 13);
    CHECK_EQ(check(t, "k", &r), 50000);
    cache_unpin(t, 1, &r);
    CHECK_EQ(free_blocks(t), 256);
}

TEST(pins_of_the_dead_are_cleared)
{
    struct table *t = make_cache(2, MIB);
    struct cache_key k = key_of(t, "k");
    struct cache_ref r;
    CHECK(put(t, 0, "k", 50000, 1));
    CHECK(cache_find(t, 1, &k, &r));
    cache_invalidate(t, 0, &k);
    slot_reclaim(t, 1);
    CHECK_EQ(free_blocks(t), 256);
}

TEST(what_the_dead_were_writing_is_free)
{
    struct table *t = make_cache(2, MIB);
    struct cache_fill f;
    char part[70000] = {0};
    CHECK(cache_fill_begin(t, 1, &f) && cache_fill_write(t, 1, &f, part, sizeof part));
    CHECK(free_blocks(t) <= 256 - 18);
    slot_reclaim(t, 1);
    CHECK_EQ(free_blocks(t), 256);
}

static bool begins_with(void *arg, const char *key, uint32_t len)
{
    return len >= strlen(arg) && memcmp(key, arg, strlen(arg)) == 0;
}

TEST(purging)
{
    struct table *t = make_cache(1, MIB);
    char a[] = "a", nothing[] = "zz";
    put(t, 0, "a1", 1, 1);
    put(t, 0, "a2", 10000, 1);
    put(t, 0, "b", 1, 1);
    struct cache_key k = key_of(t, "a1");
    struct cache_guard before = cache_guard_of(t, k.address);
    CHECK_EQ(cache_purge(t, 0, begins_with, nothing), 0);
    CHECK(!cache_guard_holds(t, k.address, before));
    before = cache_guard_of(t, k.address);
    CHECK_EQ(cache_purge(t, 0, begins_with, a), 2);
    CHECK_EQ(get(t, 0, "a1"), -1);
    CHECK_EQ(get(t, 0, "b"), 1);
    CHECK_EQ(used(t), 1);
    before = cache_guard_of(t, k.address);
    cache_invalidate(t, 0, &k); /* not there, and still what is on its way is not kept */
    CHECK(!cache_guard_holds(t, k.address, before));
}

TEST(claims)
{
    struct table *t = make_cache(2, MIB);
    uint64_t hash = 0x123456789abcdef0ull, mine, theirs, other;
    CHECK_EQ(cache_claim(t, 0, hash, 1, &mine), CACHE_CLAIMED);
    CHECK_EQ(cache_claim(t, 1, hash, 1, &theirs), CACHE_HELD);
    CHECK(cache_claim_stands(t, hash, theirs));
    CHECK_EQ(cache_claim(t, 1, hash ^ 1ull << 40, 1, &other), CACHE_UNCLAIMED);
    cache_claim_release(t, hash, mine);
    CHECK(!cache_claim_stands(t, hash, theirs));
    CHECK_EQ(cache_claim(t, 0, hash, 2, &mine), CACHE_CLAIMED);
    CHECK(!cache_claim_stands(t, hash, theirs)); /* another fetch */
    slot_reclaim(t, 0);
    CHECK_EQ(cache_claim(t, 1, hash, 3, &theirs), CACHE_CLAIMED);
    cache_claim_release(t, hash, mine); /* of the dead: too late */
    CHECK(cache_claim_stands(t, hash, theirs));
    uint64_t first = theirs, second = theirs;
    CHECK(cache_claim_take(t, 0, hash, 4, &first)); /* one of those that waited */
    CHECK(!cache_claim_take(t, 0, hash, 5, &second));
    CHECK(!cache_claim_stands(t, hash, theirs) && cache_claim_stands(t, hash, first));
    cache_claim_release(t, hash, theirs);
    CHECK(cache_claim_stands(t, hash, first));
}

TEST(a_change_counts_for_all_keys_of_an_address)
{
    struct table *t = make_cache(1, MIB);
    CHECK(put(t, 0, "a1", 1, 1) && put(t, 0, "a2", 2, 1) && put(t, 0, "b", 3, 1));
    struct cache_key other = key_of(t, "a3");
    cache_invalidate(t, 0, &other);
    CHECK(get(t, 0, "a1") == -1 && get(t, 0, "a2") == -1 && get(t, 0, "b") == 3);
    CHECK(put(t, 0, "a1", 4, 2));
    CHECK_EQ(get(t, 0, "a1"), 4);
    CHECK_EQ(used(t), 3); /* a2 is there until its room is wanted */
}

TEST(passes)
{
    struct table *t = make_cache(1, MIB);
    CHECK(!cache_passes(t, 0x777, 5000000));
    cache_pass(t, 0x777, 5000000);
    CHECK(cache_passes(t, 0x777, 5000000) && cache_passes(t, 0x777, 14000000));
    CHECK(!cache_passes(t, 0x777, 17000000));
    CHECK(!cache_passes(t, 0x777 | 1ull << 40, 5000000));
    cache_pass_end(t, 0x777);
    CHECK(!cache_passes(t, 0x777, 5000000));
}

TEST(it_grows_and_shrinks)
{
    struct table *t = make_cache(2, MIB);
    put(t, 0, "k", 100, 1);
    table_lock(t);
    CHECK_EQ(cache_prepare(t, 4 * MIB), 0);
    table_unlock(t);
    CHECK_EQ(slot_claim(t, 2, SLOT_WORKER, 2), 0); /* its pins have memory too */
    for (int i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)i);
        CHECK(put(t, 2, key, 5000, (uint64_t)i));
        CHECK_EQ(get(t, 2, key), 5000);
    }
    table_lock(t);
    CHECK_EQ(cache_prepare(t, MIB), 0);
    table_unlock(t);
    for (int i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)i);
        CHECK(put(t, 0, key, 5000, (uint64_t)i));
        int64_t body = get(t, 1, key);
        CHECK(body == 5000 || body == -1);
    }
}

/* ---- processes ---- */

/* Writes, reads and removes at random until it is killed; exits 9 when it read anything torn. */
static void churn(struct table *t, uint32_t slot)
{
    uint64_t x = hash_mix64(slot * 7919ull + clock_mono_us());
    for (;;) {
        char key[16];
        x = hash_mix64(x + 1);
        snprintf(key, sizeof key, "%u", (unsigned)(x % 97));
        struct cache_key k = key_of(t, key);
        if (x >> 20 & 3)
            (void)put(t, slot, key, (uint32_t)(x >> 32) % 60000, x >> 40);
        else if ((x >> 22 & 7) == 0)
            cache_invalidate(t, slot, &k);
        if (get(t, slot, key) == -2)
            _exit(9);
    }
}

static pid_t spawn(struct table *t, uint32_t slot)
{
    pid_t pid = fork();
    CHECK(pid != -1);
    if (pid == 0)
        churn(t, slot);
    return pid;
}

/* Four at work on 256 blocks, one is killed at any point again and again: nothing torn is ever
 * seen, and nothing is lost. */
TEST(killed_anywhere)
{
    struct table *t = make_cache(5, MIB);
    pid_t pids[5] = {0};
    for (uint32_t slot = 1; slot < 5; slot++)
        pids[slot] = spawn(t, slot);
    for (uint32_t round = 0; round < 300; round++) {
        uint32_t slot = 1 + round % 4;
        int status;
        uint64_t until = clock_mono_us() + 2000 + hash_mix64(round) % 3000;
        while (clock_mono_us() < until)
            CHECK(get(t, 0, "7") != -2);
        kill(pids[slot], SIGKILL);
        CHECK_EQ(waitpid(pids[slot], &status, 0), pids[slot]);
        CHECK(WIFSIGNALED(status));
        slot_reclaim(t, slot);
        pids[slot] = spawn(t, slot);
    }
    for (uint32_t slot = 1; slot < 5; slot++) {
        kill(pids[slot], SIGKILL);
        waitpid(pids[slot], NULL, 0);
        slot_reclaim(t, slot);
    }
    CHECK_EQ(free_blocks(t), 256);
}
