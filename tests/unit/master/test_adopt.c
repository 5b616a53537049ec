/* Rows of the table across generations, without processes: matching, preparing unseen, rolling
 * back, what the API added. */
#include "tests/unit/harness.h"

#include "master/adopt.h"
#include "shm/entry.h"
#include "shm/pool.h"

static struct master m;
static struct arena arena;
static struct conf_errors errors;
static struct adoption adoption;

static void begin(void)
{
    char why[256];
    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    CHECK_EQ(table_create(&m.table, "", why, sizeof why), 0);
    table_unlink(&m.table);
    m.table_made = true;
}

static void finish(void)
{
    for (struct generation *g = m.generations, *next; g != NULL; g = next) {
        next = g->next;
        free(g);
    }
    table_close(&m.table);
    arena_free(&arena);
}

/* A generation from a text, kept in the list as generation_load does. */
static struct conf *load(const char *text)
{
    struct generation *g = calloc(1, sizeof *g);
    g->conf = conf_load_text(text, "test", &arena, &errors);
    if (g->conf == NULL)
        fputs(conf_errors_format(&errors), stderr);
    CHECK(g->conf != NULL);
    g->next = m.generations;
    m.generations = g;
    return g->conf;
}

static void forget(const struct conf *conf)
{
    for (struct generation **at = &m.generations; *at != NULL; at = &(*at)->next)
        if ((*at)->conf == conf) {
            struct generation *g = *at;
            *at = g->next;
            free(g);
            break;
        }
    adopt_sweep(&m);
}

static struct conf *prepare(const char *text)
{
    struct conf *conf = load(text);
    CHECK_EQ(adopt_prepare(&m, conf, &adoption, &errors), 0);
    return conf;
}

static struct conf *adopt(const char *text)
{
    struct conf *conf = prepare(text);
    adopt_commit(&m, conf, &adoption);
    return conf;
}

static uint32_t count(const char *pool)
{
    uint32_t found[64], row = pool_find(&m.table, pool);
    return row == INDEX_NONE ? 0 : entry_members(&m.table, row, found, ARRAY_LEN(found));
}

static const struct entry *entry(const char *pool, const char *name)
{
    uint32_t index = entry_find(&m.table, pool_find(&m.table, pool), name);
    CHECK(index != INDEX_NONE);
    return entry_at(&m.table, index);
}

#define CONF(backends)                                                                             \
    "listeners = { web = { bind = \"127.0.0.1:1\", pool = \"app\" } }\n"                           \
    "pools = { app = { backends = ( " backends " ) } }\n"
#define ONE "{ name = \"one\", address = \"127.0.0.1:9\", weight = 3 }"
#define TWO "{ name = \"two\", address = \"127.0.0.1:10\" }"

TEST(prepared_backends_get_no_requests)
{
    begin();
    struct conf *conf = prepare(CONF(ONE));
    CHECK_EQ(conf->pools[0].backends[0].entry, entry_find(&m.table, conf->pools[0].row, "one"));
    CHECK_EQ(entry_weight(entry("app", "one")), 0);
    CHECK(!entry_usable(entry("app", "one")));
    adopt_commit(&m, conf, &adoption);
    CHECK_EQ(entry_weight(entry("app", "one")), 3);
    CHECK(entry_usable(entry("app", "one")));
    finish();
}

TEST(unchanged_backend_keeps_all_that_is_known)
{
    begin();
    const struct conf *first = adopt(CONF(ONE ", " TWO));
    uint32_t index = first->pools[0].backends[0].entry;
    CHECK(entry_set_health(&m.table, index, HEALTH_HEALTHY));
    entry_set_mode(&m.table, index, MODE_MAINTENANCE);
    entry_set_weight_override(&m.table, index, 77);
    const struct conf *second = adopt(CONF(TWO ", " ONE));
    CHECK_EQ(second->pools[0].backends[1].entry, index);
    CHECK_EQ(word_get(&entry_at(&m.table, index)->health), HEALTH_HEALTHY);
    CHECK_EQ(word_get(&entry_at(&m.table, index)->mode), MODE_MAINTENANCE);
    CHECK_EQ(entry_weight(entry_at(&m.table, index)), 77);
    CHECK_EQ(second->pools[0].row, first->pools[0].row);
    CHECK_EQ(second->listeners[0].row, first->listeners[0].row);
    finish();
}

TEST(abort_takes_back_what_was_prepared_and_nothing_else)
{
    begin();
    adopt(CONF(ONE));
    struct conf *next = prepare("listeners = { web = { bind = \"127.0.0.1:1\", pool = \"other\" }, "
                                "two = { bind = \"127.0.0.1:2\", pool = \"app\" } }\n"
                                "pools = { other = { backends = ( " TWO
                                " ) }, app = { backends = ( " TWO " ) } }\n");
    CHECK_EQ(count("app"), 2);
    CHECK_EQ(count("other"), 1);
    forget(next);
    adopt_abort(&m, &adoption);
    CHECK_EQ(count("app"), 1);
    CHECK_EQ(entry_weight(entry("app", "one")), 3);
    CHECK_EQ(pool_find(&m.table, "other"), INDEX_NONE);
    CHECK_EQ(listener_find(&m.table, "two"), INDEX_NONE);
    CHECK(listener_find(&m.table, "web") != INDEX_NONE);
    finish();
}

static void add_by_api(const char *name, const char *address)
{
    char why[128];
    struct entry_spec spec = {.name = name, .endpoint = address, .weight = 5, .origin = ORIGIN_API};
    CHECK_EQ(net_addr_parse(address, &spec.addr, why, sizeof why), 0);
    table_lock(&m.table);
    CHECK(entry_add(&m.table, pool_find(&m.table, "app"), &spec) != INDEX_NONE);
    table_unlock(&m.table);
}

static void remove_by_api(const char *name)
{
    table_lock(&m.table);
    entry_remove(&m.table, entry_find(&m.table, pool_find(&m.table, "app"), name));
    table_unlock(&m.table);
}

TEST(removed_through_the_api_between_prepare_and_commit)
{
    begin();
    adopt(CONF(ONE));
    struct conf *next = prepare(CONF(ONE ", " TWO));
    remove_by_api("one");
    remove_by_api("two");
    adopt_commit(&m, next, &adoption);
    CHECK_EQ(count("app"), 0);
    adopt(CONF(ONE ", " TWO)); /* the file brings them back */
    CHECK_EQ(count("app"), 2);
    finish();
}

TEST(removed_through_the_api_between_prepare_and_abort)
{
    begin();
    adopt(CONF(ONE));
    struct conf *next = prepare(CONF(ONE ", " TWO));
    remove_by_api("two");
    CHECK_EQ(entry_sweep(&m.table), 1);
    add_by_api("other", "127.0.0.1:5"); /* in the same row, maybe */
    forget(next);
    adopt_abort(&m, &adoption);
    CHECK_EQ(count("app"), 2);
    finish();
}

TEST(backend_added_through_the_api_stays)
{
    begin();
    adopt(CONF(ONE));
    add_by_api("extra", "127.0.0.1:77");
    adopt(CONF(TWO));
    CHECK_EQ(count("app"), 2);
    CHECK_EQ(entry_weight(entry("app", "extra")), 5);
    finish();
}

TEST(backend_of_the_api_that_the_file_now_names_is_the_files)
{
    begin();
    adopt(CONF(ONE));
    add_by_api("two", "127.0.0.1:10");
    const struct entry *before = entry("app", "two");
    adopt(CONF(ONE ", " TWO));
    CHECK(entry("app", "two") == before);
    CHECK_EQ(count("app"), 2);
    adopt(CONF(ONE)); /* and goes with the file */
    CHECK_EQ(count("app"), 1);
    finish();
}

TEST(name_in_the_file_wins_over_the_apis)
{
    begin();
    adopt(CONF(ONE));
    add_by_api("two", "127.0.0.1:4711");
    adopt(CONF(ONE ", " TWO));
    CHECK_EQ(count("app"), 2);
    CHECK_STR(entry("app", "two")->endpoint, "127.0.0.1:10");
    finish();
}

TEST(rows_go_when_no_generation_names_them)
{
    begin();
    const struct conf *first = adopt(CONF(ONE));
    adopt("listeners = { site = { bind = \"127.0.0.1:1\", pool = \"other\" } }\n"
          "pools = { other = { backends = ( " TWO " ) } }\n");
    CHECK_EQ(count("app"), 1);
    forget(first);
    CHECK_EQ(pool_find(&m.table, "app"), INDEX_NONE);
    CHECK_EQ(listener_find(&m.table, "web"), INDEX_NONE);
    CHECK_EQ(count("other"), 1);
    finish();
}

TEST(pool_that_comes_back_while_it_is_still_named_is_the_same)
{
    begin();
    const struct conf *first = adopt(CONF(ONE));
    uint32_t row = first->pools[0].row, index = first->pools[0].backends[0].entry;
    adopt("listeners = { site = { bind = \"127.0.0.1:1\", pool = \"other\" } }\n"
          "pools = { other = { backends = ( " TWO " ) } }\n");
    const struct conf *third = adopt(CONF(ONE));
    forget(first);
    CHECK_EQ(third->pools[0].row, row);
    CHECK_EQ(third->pools[0].backends[0].entry, index);
    CHECK_EQ(count("app"), 1);
    finish();
}
