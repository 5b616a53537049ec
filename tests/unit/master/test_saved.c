/* state_file: what is written is read again, and no damaged byte is believed. */
#include "tests/unit/harness.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "master/saved.h"
#include "master/saved_io.h"
#include "shm/override.h"
#include "shm/pool.h"

static struct table table;
static struct arena arena;
static uint32_t app;

static uint32_t add(const char *name, const char *address, enum entry_origin origin)
{
    char why[128];
    struct entry_spec spec = {
        .name = name, .endpoint = address, .weight = 2, .max_connections = 7, .origin = origin};
    CHECK_EQ(net_addr_parse(address, &spec.addr, why, sizeof why), 0);
    return entry_add(&table, app, &spec);
}

static void begin(void)
{
    char why[256];
    CHECK_EQ(table_create(&table, "/x", why, sizeof why), 0);
    table_unlink(&table);
    table_lock(&table);
    app = pool_add(&table, "app pool");
    table_unlock(&table);
    arena_init(&arena);
}

static void end(void)
{
    table_close(&table);
    arena_free(&arena);
}

static char *format(uint32_t wanted)
{
    uint32_t records;
    char *text = saved_format(&table, &records);
    CHECK(text != NULL);
    CHECK_EQ(records, wanted);
    return text;
}

static int parse(const char *text, size_t len, struct saved_record **out)
{
    char why[128] = "";
    int result = saved_parse(text, len, &arena, out, why, sizeof why);
    CHECK(result == 0 || why[0] != '\0');
    return result;
}

TEST(nothing_to_keep)
{
    begin();
    table_lock(&table);
    (void)add("b1", "127.0.0.1:1", ORIGIN_CONF);
    table_unlock(&table);
    struct saved_record *first = NULL;
    char *text = format(0);
    CHECK_EQ(parse(text, strlen(text), &first), 0);
    CHECK(first == NULL);
    free(text);
    end();
}

TEST(what_is_written_is_read)
{
    begin();
    table_lock(&table);
    uint32_t b1 = add("b1", "127.0.0.1:1", ORIGIN_CONF);
    (void)add("new one%", "unix:/run/a b", ORIGIN_API);
    (void)add("found", "127.0.0.1:3", ORIGIN_DISCOVERY);
    override_set(&table, b1, OVERRIDE_MODE, MODE_DRAINING, "drain", "127.0.0.1:99");
    override_set(&table, b1, OVERRIDE_WEIGHT, 9, "weight", "unix uid 0 pid 1");
    table_unlock(&table);
    char *text = format(3);
    struct saved_record *r = NULL;
    CHECK_EQ(parse(text, strlen(text), &r), 0);
    CHECK(r->is_override);
    CHECK_STR(r->pool, "app pool");
    CHECK_STR(r->field, "mode");
    CHECK_STR(r->value, "draining");
    CHECK_STR(r->call, "drain");
    r = r->next;
    CHECK_STR(r->field, "weight");
    CHECK_STR(r->value, "9");
    CHECK_EQ(r->from_file, 2);
    CHECK_STR(r->by, "unix uid 0 pid 1");
    r = r->next;
    CHECK(!r->is_override);
    CHECK_STR(r->name, "new one%");
    CHECK_STR(r->address, "unix:/run/a b");
    CHECK_EQ(r->max_connections, 7);
    CHECK(r->next == NULL);
    free(text);
    end();
}

TEST(every_damage_is_seen)
{
    begin();
    table_lock(&table);
    override_set(&table, add("b1", "127.0.0.1:1", ORIGIN_CONF), OVERRIDE_WEIGHT, 9, "weight", "me");
    (void)add("b2", "127.0.0.1:2", ORIGIN_API);
    table_unlock(&table);
    char *text = format(2);
    size_t len = strlen(text);
    struct saved_record *out = NULL;
    for (size_t i = 0; i < len; i++) { /* a byte changed */
        char kept = text[i];
        text[i] = (char)(kept ^ 1);
        CHECK_EQ(parse(text, len, &out), -1);
        text[i] = '\0';
        CHECK_EQ(parse(text, len, &out), -1);
        text[i] = kept;
    }
    for (size_t i = 0; i < len; i++) /* cut short */
        CHECK_EQ(parse(text, i, &out), -1);
    CHECK_EQ(parse(text, len, &out), 0);
    free(text);
    end();
}

/* A file that somebody wrote with a right checksum. */
static int parse_lines(const char *lines, unsigned count)
{
    char text[1024];
    struct saved_record *out = NULL;
    int len = snprintf(text, sizeof text, "ballast-state 1\n%s", lines);
    uint64_t sum = hash_bytes((struct hash_key){0}, text, (size_t)len);
    snprintf(text + len, sizeof text - (size_t)len, "end %u %016llx\n", count,
             (unsigned long long)sum);
    return parse(text, strlen(text), &out);
}

TEST(right_sum_and_wrong_content)
{
    begin();
    CHECK_EQ(parse_lines("", 0), 0);
    CHECK_EQ(parse_lines("override p n weight 5 1 0 weight me\n", 1), 0);
    CHECK_EQ(parse_lines("override p n weight 5 1 0 weight me\n", 2), -1);
    CHECK_EQ(parse_lines("override p n weight 5 1 0 weight\n", 1), -1);
    CHECK_EQ(parse_lines("override p n weight 5 1 0 weight me too\n", 1), -1);
    CHECK_EQ(parse_lines("override p n weight 5 -1 0 weight me\n", 1), -1);
    CHECK_EQ(parse_lines("override p n weight 5 4294967296 0 weight me\n", 1), -1);
    CHECK_EQ(parse_lines("backend p n e 127.0.0.1:1 1 1 0\n", 1), 0);
    CHECK_EQ(parse_lines("backend p n e 127.0.0.1:1 257 1 0\n", 1), -1);
    CHECK_EQ(parse_lines("backend p n e 127.0.0.1:1 1 1 2\n", 1), -1);
    CHECK_EQ(parse_lines("backend p n%0 e 127.0.0.1:1 1 1 0\n", 1), -1);
    CHECK_EQ(parse_lines("backend p n%00 e 127.0.0.1:1 1 1 0\n", 1), -1);
    CHECK_EQ(parse_lines("something else\n", 1), -1);
    CHECK_EQ(parse_lines("\n", 1), -1);
    end();
}

static const char *apply(struct saved_record r)
{
    table_lock(&table);
    const char *why = saved_apply(&table, &r);
    table_unlock(&table);
    return why;
}

TEST(the_file_wins_where_it_changed)
{
    begin();
    table_lock(&table);
    uint32_t b1 = add("b1", "127.0.0.1:1", ORIGIN_CONF);
    table_unlock(&table);
    struct saved_record r = {.is_override = true,
                             .pool = "app pool",
                             .name = "b1",
                             .field = "weight",
                             .value = "5",
                             .from_file = 1,
                             .call = "weight",
                             .by = "me"};
    CHECK(apply(r) != NULL);
    CHECK_EQ(entry_weight(entry_at(&table, b1)), 2);
    r.from_file = 2;
    r.wall_ms = 77;
    CHECK(apply(r) == NULL);
    CHECK_EQ(entry_weight(entry_at(&table, b1)), 5);
    CHECK_EQ(entry_at(&table, b1)->overrides[OVERRIDE_WEIGHT].wall_ms, 77);
    r.value = "257";
    CHECK(apply(r) != NULL);
    r.value = "enabled", r.field = "mode", r.from_file = 0;
    CHECK(apply(r) != NULL);
    r.value = "maintenance";
    CHECK(apply(r) == NULL);
    r.name = "gone";
    CHECK(apply(r) != NULL);
    r.pool = "gone";
    CHECK(apply(r) != NULL);
    end();
}

TEST(an_added_backend_comes_back_once)
{
    begin();
    struct saved_record r = {.pool = "app pool",
                             .name = "b9",
                             .endpoint = "localhost:9",
                             .address = "127.0.0.1:9",
                             .weight = 4,
                             .max_connections = 5,
                             .backup = 1};
    CHECK(apply(r) == NULL);
    const struct entry *e = entry_at(&table, entry_find(&table, app, "b9"));
    CHECK_EQ(word_get(&e->origin), ORIGIN_API);
    CHECK_EQ(word_get(&e->backup), 1);
    CHECK_STR(e->endpoint, "localhost:9");
    CHECK(apply(r) != NULL);
    r.name = "b8", r.address = "nowhere";
    CHECK(apply(r) != NULL);
    end();
}

/* ---- writing in a thread ---- */

static int results[4];
static unsigned result_count;

static void count_result(struct saved_io *io)
{
    CHECK(!io->running);
    CHECK_EQ(io->result == -1 ? io->error : 0, *(int *)io->data);
    results[result_count++] = io->result;
    free(io->text);
}

static void check_file(const char *path, const char *wanted)
{
    char text[64] = "";
    FILE *in = fopen(path, "r");
    CHECK(in != NULL);
    CHECK(fgets(text, sizeof text, in) != NULL);
    CHECK_STR(text, wanted);
    CHECK_EQ(fclose(in), 0);
}

TEST(a_thread_replaces_the_file)
{
    char dir[] = "/tmp/ballast-saved-XXXXXX", path[64], beside[80];
    int none = 0, missing = ENOENT;
    struct saved_io io = {.data = &none};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/state", dir);
    snprintf(beside, sizeof beside, "%s.new", path);
    CHECK(saved_io_begin(&io, loop, path, strdup("one"), count_result));
    ev_run(loop, 0); /* ends when nothing is awaited any more */
    CHECK_EQ(result_count, 1);
    check_file(path, "one");
    CHECK(saved_io_begin(&io, loop, path, strdup("two"), count_result));
    saved_io_finish(&io);
    saved_io_finish(&io); /* nothing runs any more */
    CHECK_EQ(result_count, 2);
    check_file(path, "two");
    CHECK_EQ(access(beside, F_OK), -1);
    CHECK(unlink(path) == 0 && rmdir(dir) == 0);
    io.data = &missing;
    CHECK(saved_io_begin(&io, loop, path, strdup("three"), count_result));
    ev_run(loop, 0);
    CHECK_EQ(result_count, 3);
    CHECK_EQ(results[2], -1);
    ev_loop_destroy(loop);
}
