/* A table that changes, ages, breaks or is replaced under the client's feet; threads and forks. */
#include "tests/unit/client/fixture.h"

#include <pthread.h>
#include <sys/mman.h>

#define THREADS 4
#define ROUNDS  2000u

static struct ballast_pick pick;

TEST(an_old_heartbeat_means_the_listener)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    char why[200];
    options.fallback = "127.0.0.1:8080";
    make_table("round_robin");
    add_backend(1);
    open_with(options);
    CHECK_EQ(ballast_client_is_fresh(client, why, sizeof why), 1);
    CHECK_STR(why, "");
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        slot_heartbeat(&table, slot, clock_mono_us() - 3100000);
    client->look_us = 0; /* as if a while had passed */
    CHECK_EQ(ballast_pick(client, "p", NULL, 0, &pick), BALLAST_FALLBACK);
    CHECK_EQ(ntohs(((struct sockaddr_in *)&pick.address)->sin_port), 8080);
    CHECK_EQ(ballast_client_is_fresh(client, why, sizeof why), 0);
    CHECK(strstr(why, "no sign of life"));
    slot_heartbeat(&table, 57, clock_mono_us()); /* any process will do */
    client->look_us = 0;
    CHECK_EQ(ballast_pick(client, "p", NULL, 0, &pick), BALLAST_OK);
    CHECK_EQ(pick.stale, 0);
}

TEST(what_was_known_last_may_be_kept)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    options.keep_when_stale = 1;
    make_table("round_robin");
    add_backend(1);
    open_with(options);
    slot_heartbeat(&table, 0, clock_mono_us() - 3100000);
    client->look_us = 0;
    CHECK_EQ(ballast_pick(client, "p", NULL, 0, &pick), BALLAST_OK);
    CHECK_EQ(pick.stale, 1);
}

TEST(backends_come_and_go)
{
    make_table("round_robin");
    uint32_t a = add_backend(1);
    open_client();
    CHECK_EQ(ask(NULL), a);
    uint32_t b = add_backend(2);
    CHECK(ask(NULL) != ask(NULL));
    remove_backend(a);
    CHECK_EQ(ask(NULL), b);
    CHECK_EQ(ask(NULL), b);
    remove_backend(b);
    CHECK_EQ(pick_key(NULL, &pick), BALLAST_NONE);
}

TEST(pools_come_and_go)
{
    make_table("round_robin");
    add_backend(1);
    open_client();
    CHECK_EQ(ballast_pick(client, "q", NULL, 0, &pick), BALLAST_NO_POOL);
    CHECK_EQ(client->pool_count, 0);
    uint32_t q = make_pool("q");
    CHECK_EQ(ballast_pick(client, "q", NULL, 0, &pick), BALLAST_FALLBACK); /* not configured yet */
    set_algorithm(q, "random", "uri");
    CHECK_EQ(ballast_pick(client, "q", NULL, 0, &pick), BALLAST_NONE);
    add_backend_to(q, 77, 1, 0);
    CHECK_EQ(ballast_pick(client, "q", NULL, 0, &pick), BALLAST_OK);
    CHECK_STR(pick.backend, "b77");
    table_lock(&table);
    pool_remove(&table, q);
    table_unlock(&table);
    CHECK_EQ(ballast_pick(client, "q", NULL, 0, &pick), BALLAST_NO_POOL);
    CHECK_EQ(ballast_pick_other(client, &pick), BALLAST_FALLBACK);
    /* the row of a pool that is gone becomes another's */
    snprintf(pool_at(&table, q)->name, NAME_MAX_BYTES, "other");
    word_set(&pool_at(&table, q)->state, ROW_LIVE);
    word_set(&table.header->membership, word_get(&table.header->membership) + 1);
    CHECK_EQ(ballast_pick(client, "q", NULL, 0, &pick), BALLAST_NO_POOL);
    CHECK_EQ(ask(NULL), 0);
}

TEST(names_that_are_none)
{
    char longest[NAME_MAX_BYTES + 40];
    make_table("round_robin");
    open_client();
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK_EQ(ballast_pick(client, longest, NULL, 0, &pick), BALLAST_NO_POOL);
    CHECK_EQ(ballast_pick(client, "", NULL, 0, &pick), BALLAST_NO_POOL);
}

/* ---- slots that are used again ---- */

/* Removed, drained and given to another backend at once, as when the table is full. */
static uint32_t replace(uint32_t entry, uint32_t number)
{
    remove_backend(entry);
    entry_sweep(&table);
    atomic_store(&entry_at(&table, entry)->freed_us, 1);
    return add_backend(number);
}

TEST(a_slot_that_is_used_again_is_another_backend)
{
    make_table("round_robin");
    uint32_t a = add_backend(1);
    open_client();
    CHECK_EQ(pick_key(NULL, &pick), BALLAST_OK);
    uint32_t first = pick.generation;
    CHECK_EQ(replace(a, 2), a);
    struct ballast_pick second;
    CHECK_EQ(pick_key(NULL, &second), BALLAST_OK);
    CHECK_EQ(second.slot, a);
    CHECK(second.generation != first);
    CHECK_STR(second.backend, "b2");
    for (unsigned i = 0; i < 10; i++) {
        struct ballast_pick copy = pick; /* the first one's failures */
        ballast_report(client, &copy, BALLAST_FAILURE, 0);
    }
    CHECK_EQ(client->rows[a].fails, 0);
    CHECK_EQ(client->rows[a].inflight, 1);
    ballast_report(client, &second, BALLAST_SUCCESS, 1);
    CHECK_EQ(client->rows[a].inflight, 0);
}

struct shared {
    atom32 stop, rounds;
    atom32 oldest; /* backends of smaller numbers are gone for good */
};

static void *shared_page(void)
{
    /* cppcheck-suppress invalidFunctionArg ; as mmap(2) has it for anonymous memory */
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static pid_t start(void (*run)(struct shared *), struct shared *s)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid != -1);
    if (pid == 0) {
        run(s);
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid, struct shared *s)
{
    int status;
    word_set(&s->stop, 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* Four backends, the oldest of which goes, its slot to be used again at once. */
static void churn(struct shared *s)
{
    uint32_t slots[4], number = 5;
    for (uint32_t i = 0; i < 4; i++)
        slots[i] = i;
    while (!word_get(&s->stop)) {
        uint32_t *slot = &slots[(number - 1) % 4];
        *slot = replace(*slot, number);
        number++;
        word_set(&s->oldest, number - 4);
        beat();
        word_set(&s->rounds, word_get(&s->rounds) + 1);
    }
}

static void check_is_one(const struct ballast_pick *p)
{
    uint32_t number = (uint32_t)strtoul(p->backend + 1, NULL, 10);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", number & 0xffff);
    CHECK_STR(p->endpoint, endpoint);
    CHECK_EQ(ntohs(((const struct sockaddr_in *)&p->address)->sin_port), number & 0xffff);
}

static void picks_while_churning(const char *algorithm)
{
    struct shared *s = shared_page();
    make_table(algorithm);
    for (uint32_t i = 1; i <= 4; i++)
        add_backend(i);
    open_client();
    pid_t pid = start(churn, s);
    unsigned found = 0;
    while (word_get(&s->rounds) < 300 || found < 20) {
        uint32_t oldest = word_get(&s->oldest);
        enum ballast_result result = ballast_pick(client, "p", "k", 1, &pick);
        CHECK(result == BALLAST_OK || result == BALLAST_NONE || result == BALLAST_FULL);
        if (result != BALLAST_OK)
            continue;
        found++;
        check_is_one(&pick);
        /* what had been removed before we asked is not handed out */
        CHECK(strtoul(pick.backend + 1, NULL, 10) >= oldest);
        ballast_report(client, &pick, found % 3 ? BALLAST_SUCCESS : BALLAST_FAILURE, 10);
    }
    end(pid, s);
    for (uint32_t i = 0; i < 8; i++)
        CHECK_EQ(client->rows[i].inflight, 0);
    CHECK_EQ(client->pools[0]->own.inflight, 0);
    ballast_client_close(client);
}

TEST(no_mixture_of_two_backends_by_turn)
{
    picks_while_churning("round_robin");
}

TEST(no_mixture_of_two_backends_by_ring)
{
    picks_while_churning("consistent_hash");
}

TEST(no_mixture_of_two_backends_by_maglev)
{
    picks_while_churning("maglev");
}

TEST(no_mixture_of_two_backends_by_load)
{
    picks_while_churning("least_response_time");
}

/* ---- half dead ---- */

TEST(a_writer_that_was_killed_while_changing_a_list)
{
    make_table("round_robin");
    uint32_t a = add_backend(1);
    add_backend(2);
    open_client();
    word_set(&pool_at(&table, pool)->seq, 77); /* odd for ever */
    word_set(&pool_at(&table, pool)->hash_seq, 77);
    pool_touch(&table, pool);
    CHECK(ask(NULL) != INDEX_NONE);
    set_algorithm(pool, "consistent_hash", "uri");
    CHECK(ask("x") != INDEX_NONE);
    word_set(&entry_at(&table, a)->next, a); /* a circle */
    pool_touch(&table, pool);
    CHECK(ask(NULL) != INDEX_NONE);
    word_set(&pool_at(&table, pool)->head, ENTRY_MAX + 5);
    pool_touch(&table, pool);
    CHECK_EQ(ask(NULL), INDEX_NONE);
}

/* Words of rows and of the hash table overwritten with anything: whatever is said then, nothing is
 * touched that is not there. */
static void scribble(uint64_t *random)
{
    uint32_t *words;
    size_t count;
    *random = hash_mix64(*random + 1);
    switch (*random % 3) {
    case 0:
        words = (uint32_t *)(void *)entry_at(&table, (uint32_t)(*random >> 8) % 8);
        count = sizeof(struct entry) / sizeof *words;
        break;
    case 1:
        words = (uint32_t *)(void *)pool_at(&table, pool);
        count = sizeof(struct pool_row) / sizeof *words;
        break;
    default: words = (uint32_t *)(void *)table.hash; count = HASHTABLE_UNIT_BYTES / sizeof *words;
    }
    uint64_t more = hash_mix64(*random);
    words[*random / 3 % count] = more & 1 ? (uint32_t)(more >> 32) : (uint32_t)(more >> 8) % 20;
}

TEST(a_table_full_of_nonsense)
{
    uint64_t random = 1;
    make_table("consistent_hash");
    for (uint32_t i = 0; i < 8; i++)
        add_backend(1 + i);
    open_client();
    struct entry *good = calloc(8, sizeof *good);
    struct pool_row *row = calloc(1, sizeof *row);
    CHECK(good && row);
    memcpy(good, entry_at(&table, 0), 8 * sizeof(struct entry));
    memcpy(row, pool_at(&table, pool), sizeof(struct pool_row));
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round % 20 == 0) { /* else soon nothing is left to ask */
            memcpy(entry_at(&table, 0), good, 8 * sizeof(struct entry));
            memcpy(pool_at(&table, pool), row, sizeof(struct pool_row));
            word_set(&pool_at(&table, pool)->balance, 1 + round / 20 % 12);
            word_set(&pool_at(&table, pool)->max_load_milli, round % 40 ? 1250 : 0);
        }
        scribble(&random);
        pool_touch(&table, pool);
        if (pick_key("key", &pick) == BALLAST_OK)
            ballast_report(client, &pick, (enum ballast_outcome)(round % 3), round);
    }
    free(good);
    free(row);
    ballast_client_close(client);
}

/* ---- threads, forks ---- */

static void *ask_often(void *unused)
{
    struct ballast_pick mine[3];
    for (unsigned i = 0; i < 3000; i++) {
        for (unsigned k = 0; k < 3; k++)
            CHECK_EQ(ballast_pick(client, "p", NULL, 0, &mine[k]), BALLAST_OK);
        for (unsigned k = 0; k < 3; k++)
            ballast_report(client, &mine[k], BALLAST_SUCCESS, 5);
    }
    return unused;
}

static void start_threads(pthread_t *threads)
{
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
}

static void join_threads(const pthread_t *threads)
{
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void open_three(const char *algorithm)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    options.stale_ms = 600000; /* nobody beats meanwhile */
    make_table(algorithm);
    for (uint32_t i = 0; i < 3; i++)
        add_backend(1 + i);
    open_with(options);
}

TEST(threads_share_a_client)
{
    pthread_t threads[THREADS];
    open_three("least_connections");
    start_threads(threads);
    join_threads(threads);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(client->rows[i].inflight, 0);
    CHECK_EQ(client->pools[0]->own.inflight, 0);
}

static void in_child(void)
{
    CHECK_EQ(ballast_pick(client, "p", NULL, 0, &pick), BALLAST_OK);
    uint32_t all = 0;
    for (uint32_t i = 0; i < 3; i++)
        all += client->rows[i].inflight;
    CHECK_EQ(all, 1); /* nothing of the parent's */
    ballast_report(client, &pick, BALLAST_SUCCESS, 1);
}

TEST(a_child_begins_anew)
{
    struct ballast_pick parents;
    int status;
    open_three("least_connections");
    CHECK_EQ(ballast_pick(client, "p", NULL, 0, &parents), BALLAST_OK);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        ballast_report(client, &parents, BALLAST_FAILURE, 0); /* not the child's to report */
        in_child();
        ballast_client_close(client);
        exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(client->rows[parents.slot].inflight, 1);
    ballast_report(client, &parents, BALLAST_SUCCESS, 1);
    CHECK_EQ(client->rows[parents.slot].inflight, 0);
}

TEST(children_that_never_ask_close_it_too)
{
    int status;
    open_three("round_robin");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        ballast_client_close(client);
        exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    ballast_client_close(client);
}

/* Some of these children are made while a thread holds the lock. */
TEST(a_fork_in_the_middle_of_others_picks)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP("its allocator's locks stay locked in the child of a program with threads");
#endif
    pthread_t threads[THREADS];
    int status;
    open_three("weighted_round_robin");
    fflush(NULL);
    start_threads(threads);
    for (unsigned i = 0; i < 60; i++) {
        pid_t pid = fork();
        CHECK(pid != -1);
        if (pid == 0) {
            in_child();
            ballast_client_close(client);
            _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    join_threads(threads);
}

TEST(two_threads_of_a_child_ask_first)
{
    int status;
    open_three("round_robin");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t threads[THREADS];
        start_threads(threads);
        join_threads(threads);
        for (uint32_t i = 0; i < 3; i++)
            CHECK_EQ(client->rows[i].inflight, 0);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}
