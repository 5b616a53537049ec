/* What a writer of a member list can leave behind when it is killed, and that the next holder of
 * the lock repairs it. */
#include "tests/unit/shm/fixture.h"

#include "base/log.h"

static uint32_t pool, ids[4];

static struct table *make_four(void)
{
    log_set_level(LOG_LEVEL_ERROR); /* each repair is a warning */
    struct table *t = make_table();
    pool = make_pool(t, "app");
    for (int i = 0; i < 4; i++)
        ids[i] = make_entry(t, pool, (char[]){(char)('a' + i), 0}, 0);
    return t;
}

static void hold(uint32_t unused UNUSED)
{
    table_lock(&table);
    raise(SIGKILL);
}

/* A process dies with the lock; the state of the list is what the test made of it. The next lock
 * repairs. */
static void die_with_the_lock(struct table *t)
{
    pid_t pid = start(hold, 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
    table_lock(t);
    table_unlock(t);
}

/* The list is well-formed and holds exactly these. */
static void check_members(struct table *t, const char *names)
{
    uint32_t out[8];
    char text[16] = "";
    uint32_t count = entry_members(t, pool, out, ARRAY_LEN(out));
    for (uint32_t i = 0; i < count; i++)
        strcat(text, entry_at(t, out[i])->name);
    CHECK_STR(text, names);
    struct pool_row *p = pool_at(t, pool);
    CHECK_EQ(word_get(&p->count), count);
    CHECK_EQ(word_get(&p->tail), count ? out[count - 1] : INDEX_NONE);
    CHECK_EQ(word_get(&p->seq) & 1, 0);
}

TEST(killed_between_marking_and_unlinking)
{
    struct table *t = make_four();
    uint32_t change = word_get(&pool_at(t, pool)->change);
    word_set(&pool_at(t, pool)->seq, word_get(&pool_at(t, pool)->seq) | 1);
    word_set(&entry_at(t, ids[1])->state, ROW_REMOVED);
    uint32_t out[8];
    CHECK_EQ(entry_members(t, pool, out, 8), 3); /* readers do not wait for the repair */
    die_with_the_lock(t);
    check_members(t, "acd");
    CHECK(word_get(&pool_at(t, pool)->change) != change);
    CHECK_EQ(entry_sweep(t), 1);
}

TEST(killed_between_unlinking_and_counting)
{
    struct table *t = make_four();
    word_set(&pool_at(t, pool)->seq, word_get(&pool_at(t, pool)->seq) | 1);
    word_set(&entry_at(t, ids[3])->state, ROW_REMOVED);
    word_set(&entry_at(t, ids[2])->next, INDEX_NONE);
    die_with_the_lock(t);
    check_members(t, "abc");
    make_entry(t, pool, "e", 0);
    check_members(t, "abce");
}

TEST(killed_between_going_live_and_linking)
{
    struct table *t = make_four();
    word_set(&entry_at(t, ids[2])->next, INDEX_NONE); /* d is live and hangs nowhere */
    word_set(&pool_at(t, pool)->tail, ids[2]);
    die_with_the_lock(t);
    check_members(t, "abc");
    CHECK_EQ(word_get(&entry_at(t, ids[3])->state), ROW_REMOVED);
    CHECK_EQ(entry_sweep(t), 1);
    CHECK_EQ(word_get(&t->header->entries_free), 1);
}

TEST(killed_between_linking_and_moving_the_tail)
{
    struct table *t = make_four();
    word_set(&pool_at(t, pool)->tail, ids[2]);
    word_set(&pool_at(t, pool)->count, 3);
    die_with_the_lock(t);
    check_members(t, "abcd");
}

TEST(a_loop_is_cut)
{
    struct table *t = make_four();
    word_set(&entry_at(t, ids[3])->next, ids[0]);
    uint32_t out[8];
    CHECK_EQ(entry_members(t, pool, out, 8), 8); /* bounded by the room given */
    CHECK_EQ(entry_find(t, pool, "nobody"), INDEX_NONE);
    die_with_the_lock(t);
    check_members(t, "abcd");
}

TEST(a_link_into_nowhere_is_cut)
{
    struct table *t = make_four();
    word_set(&entry_at(t, ids[1])->next, ENTRY_MAX - 1);
    die_with_the_lock(t);
    check_members(t, "ab");
}

/* Members come and go while a killer strikes at any moment: the list must be whole each time. */
static void churn(uint32_t seed)
{
    for (uint32_t n = seed;; n++) {
        char name[16];
        snprintf(name, sizeof name, "x%u", n);
        uint32_t index = try_entry(&table, pool, name, 0);
        if (index == INDEX_NONE)
            _exit(1);
        if (n % 3 != 0)
            remove_entry(&table, index);
        entry_sweep(&table);
        atomic_fetch_add(&table.header->generation, 1);
    }
}

TEST(killed_anywhere)
{
    struct table *t = make_four();
    for (uint32_t round = 0; round < 60; round++) {
        uint32_t before = word_get(&t->header->generation), out[ENTRY_MAX];
        pid_t pid = start(churn, round * 1000);
        await(&t->header->generation, before + 1 + round % 7);
        kill_and_wait(pid);
        table_lock(t);
        struct pool_row *p = pool_at(t, pool);
        uint32_t count = entry_members(t, pool, out, ENTRY_MAX);
        CHECK_EQ(word_get(&p->count), count);
        CHECK(count >= 4);
        CHECK_EQ(word_get(&p->tail), out[count - 1]);
        CHECK_EQ(word_get(&p->seq) & 1, 0);
        for (uint32_t i = 0; i < 4; i++)
            CHECK_EQ(out[i], ids[i]);
        table_unlock(t);
    }
}
