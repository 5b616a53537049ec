/* What is shown loads again to the same; so does what the rows allow, whatever it is. */
#include <jansson.h>
#include "conf/rows.h"
#include "conf/units.h"
#include "tests/unit/conf/conf_fixture.h"

/* Loads what was dumped and compares the dumps. */
static void check_round_trip(const struct conf *c)
{
    char *first = conf_dump_text(c), *json = conf_dump_json(c);
    const struct conf *again = load_into(&fixture_two, first);
    if (!again)
        fprintf(stderr, "%s", first);
    CHECK(again != NULL);
    char *second = conf_dump_text(again), *json_again = conf_dump_json(again);
    CHECK_STR(first, second);
    CHECK_STR(json, json_again);
    free(first);
    free(second);
    free(json);
    free(json_again);
}

TEST(smallest)
{
    check_round_trip(load_good(MINIMAL));
    check_round_trip(load_good(MINIMAL "admin = \"off\""));
}

TEST(text)
{
    const struct conf *c = load_good(
        "user = \"root\", workers = 2\n"
        "listeners = { db = { bind = [ \"*:1\", \"*:2\" ], protocol = \"tcp\", pool = \"p\" } }\n"
        "pools = { p = { backends = ( { name = \"a\", address = \"10.0.0.1:1\", weight = 5 }, "
        "\"10.0.0.2:1\" ) }\n"
        "q = { backends = [ ], health = { expect = \"200,301-302\" } } }");
    static const char *const wanted[] = {
        "workers = 2\nuser = \"root\"\n",
        "log = {\n    level = \"info\"\n    target = \"stderr\"\n}\n",
        "listeners = {\n    db = {\n        bind = [ \"*:1\", \"*:2\" ]\n        protocol = "
        "\"tcp\"\n",
        "        timeouts = {\n            idle = \"1h\"\n        }\n",
        "pools = {\n    p = {\n        balance = \"round_robin\"\n",
        "        backends = (\n            { name = \"a\", address = \"10.0.0.1:1\", weight = 5, "
        "max_connections = 1000, backup = false",
        "            { name = \"10.0.0.2:1\", address = \"10.0.0.2:1\", weight = 1, ",
        "        backends = ()\n",
        "            expect = [ \"200\", \"301-302\" ]\n"};
    char *text = conf_dump_text(c);
    const char *at = text;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) { /* one after the other */
        at = strstr(at, wanted[i]);
        CHECK(at != NULL);
    }
    free(text);
    check_round_trip(c);
}

TEST(json)
{
    char *text =
        conf_dump_json(load_good("pools = { p = { backends = [ \"10.0.0.1:1\" ] } }, workers = 2\n"
                                 "listeners = { w = { bind = \"*:1\", pool = \"p\" } }"));
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    CHECK(root != NULL);
    CHECK_EQ(json_integer_value(json_object_get(root, "workers")), 2);
    json_t *listener = json_object_get(json_object_get(root, "listeners"), "w");
    CHECK_STR(json_string_value(json_object_get(listener, "pool")), "p");
    CHECK_STR(json_string_value(json_object_get(json_object_get(listener, "timeouts"), "header")),
              "10s");
    json_t *pool = json_object_get(json_object_get(root, "pools"), "p");
    json_t *backend = json_array_get(json_object_get(pool, "backends"), 0);
    CHECK_EQ(json_integer_value(json_object_get(backend, "weight")), 1);
    CHECK(json_is_false(json_object_get(backend, "backup")));
    json_decref(root);
    free(text);
}

TEST(the_token_is_not_shown)
{
    char text[256];
    enter_dir();
    write_file("token", "hunter2");
    snprintf(text, sizeof text, MINIMAL "admin = { token_file = \"%s/token\" }", fixture_dir);
    const struct conf *c = load_good(text);
    CHECK_STR(c->admin.token, "hunter2");
    char *shown = conf_dump_text(c), *json = conf_dump_json(c);
    CHECK(strstr(shown, "hunter2") == NULL && strstr(json, "hunter2") == NULL);
    CHECK(strstr(shown, "/token\"") != NULL);
    free(shown);
    free(json);
    check_round_trip(c);
}

TEST(fractions)
{
    static const char *const values[] = {"1.25", "2", "1.001", "99.5", "0"};
    for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
        char text[256], wanted[32];
        snprintf(text, sizeof text,
                 "listeners = { l = { bind = \"*:1\", pool = \"p\" } } pools = { p = { balance = "
                 "\"maglev\", max_load = %s, backends = [ ] } }",
                 values[i]);
        snprintf(wanted, sizeof wanted, "max_load = %s\n", values[i]);
        const struct conf *c = load_good(text);
        char *shown = conf_dump_text(c);
        CHECK(strstr(shown, wanted) != NULL);
        free(shown);
        check_round_trip(c);
    }
}

/* ---- configurations made from the rows ---- */

static uint64_t random_state;

static uint64_t pick_number(uint64_t max) /* 0..max */
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return max == UINT64_MAX ? random_state >> 11 : (random_state >> 11) % (max + 1);
}

struct made {
    char text[65536];
    size_t len;
    unsigned port;
};

__attribute__((format(printf, 2, 3))) static void say(struct made *m, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    m->len += (size_t)vsnprintf(m->text + m->len, sizeof m->text - m->len, fmt, args);
    va_end(args);
    CHECK(m->len < sizeof m->text);
}

static uint64_t pick_between(uint64_t min, uint64_t max)
{
    switch (pick_number(3)) {
    case 0: return min;
    case 1: return max;
    default: return min + pick_number(max - min);
    }
}

static void make_units(struct made *m, const struct conf_row *row, enum units_kind kind)
{
    char text[UNITS_STRLEN];
    say(m, "\"%s\"", units_format(kind, pick_between(row->min, row->max), text));
}

static void make_name(struct made *m, const char *const *names)
{
    uint64_t count = 0;
    while (names[count])
        count++;
    say(m, "\"%s\"", names[pick_number(count - 1)]);
}

static void make_section(struct made *m, const struct conf_section *section, const char *name);

static void make_things(struct made *m, const struct conf_section *section, const char *prefix)
{
    say(m, "{\n");
    for (unsigned i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s%u", prefix, i);
        say(m, "%s = {\n", name);
        make_section(m, section, name);
        say(m, "}\n");
    }
    say(m, "}");
}

static void make_backends(struct made *m)
{
    uint64_t count = pick_number(4);
    say(m, "(");
    for (uint64_t i = 0; i < count; i++) {
        say(m, "{ ");
        make_section(m, &conf_section_backend, "");
        say(m, "}, ");
    }
    say(m, ")");
}

static void make_limits(struct made *m)
{
    static const char *const periods[] = {"s", "90s", "m", "24h", "250ms"};
    say(m, "( { rate = \"%llu/%s\", burst = %llu }, ",
        (unsigned long long)pick_between(1, RATE_COUNT_MAX), periods[pick_number(4)],
        (unsigned long long)pick_between(1, RATE_COUNT_MAX));
    say(m, "{ algorithm = \"sliding_window\", key = \"global\", entries = %llu } )",
        (unsigned long long)pick_between(1, 1000000));
}

static void make_value(struct made *m, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_T_STRING: say(m, "\"s%u\\\\x\"", m->port); break;
    case CONF_T_USER:
    case CONF_T_SYSTEM_GROUP: say(m, "\"root\""); break;
    case CONF_T_TOKEN_FILE: say(m, "\"\""); break;
    case CONF_T_PATH:
    case CONF_T_LOG_TARGET:
    case CONF_T_URI_PATH: say(m, "\"/x/%u\"", m->port); break;
    case CONF_T_HASH_KEY: say(m, "\"header:x%u\"", m->port); break;
    case CONF_T_HOST: say(m, "\"h%u.test\"", m->port); break;
    case CONF_T_NAME: say(m, "\"n%u\"", m->port++); break;
    case CONF_T_NUMBER: say(m, "%llu", (unsigned long long)pick_between(row->min, row->max)); break;
    case CONF_T_BOOL: say(m, pick_number(1) ? "true" : "false"); break;
    case CONF_T_DURATION: make_units(m, row, UNITS_DURATION); break;
    case CONF_T_SIZE: make_units(m, row, UNITS_SIZE); break;
    case CONF_T_ENUM:
    case CONF_T_CHOICE: make_name(m, row->names); break;
    case CONF_T_WORKERS: say(m, pick_number(1) ? "\"auto\"" : "7"); break;
    case CONF_T_BINDS:
        say(m, "[ \"127.0.0.1:%u\", \"[::1]:%u\" ]", m->port, m->port);
        m->port++;
        break;
    case CONF_T_CIDRS:
        say(m, "[ \"10.0.0.0/8\", \"fd00::/%u\" ]", (unsigned)pick_number(128));
        break;
    case CONF_T_EXPECT: say(m, "\"200-2%02u,404\"", (unsigned)pick_number(99)); break;
    case CONF_T_BYTES: say(m, "\"b%u\\x01\\\\x00\"", m->port); break;
    case CONF_T_PAIRS: say(m, "( ( \"X-A\", \"%u\" ), ( \"X-B\", \"\" ) )", m->port); break;
    case CONF_T_RESOLVERS: say(m, "[ \"10.0.0.1\", \"[::1]:5353\" ]"); break;
    case CONF_T_CA_FILE: say(m, "\"\""); break;
    case CONF_T_HEALTH:
        say(m, "{ ");
        make_section(m, row->section, "");
        say(m, "}");
        break;
    case CONF_T_FAILURES:
        say(m, "[ \"connect\", \"5%02u-599\" ]", (unsigned)pick_number(99));
        break;
    case CONF_T_PERCENT: say(m, "\"%u%%\"", (unsigned)pick_between(row->min, row->max)); break;
    case CONF_T_STICKY:
        say(m, "{ type = \"header\", name = \"x%u\", path = \"/p\" }", m->port);
        break;
    case CONF_T_BREAKER:
        say(m, "{\n");
        make_section(m, row->section, "");
        say(m, "}");
        break;
    case CONF_T_POOL: say(m, "\"pool%u\"", (unsigned)pick_number(2)); break;
    case CONF_T_ADDRESS: say(m, "\"h.test:%u\"", m->port++); break;
    case CONF_T_BACKENDS: make_backends(m); break;
    case CONF_T_POOL_TLS: say(m, "{ verify = false, sni = \"x.test\" }"); break;
    case CONF_T_RATE_LIMITS: make_limits(m); break;
    case CONF_T_LISTENERS: make_things(m, row->section, "listener"); break;
    case CONF_T_POOLS: make_things(m, row->section, "pool"); break;
    case CONF_T_ACCESS_TARGET: say(m, "\"/x/%u.log\"", m->port); break;
    case CONF_T_ACCESS_LOG:
    case CONF_T_ADMIN:
    case CONF_T_GROUP:
        say(m, "{\n");
        make_section(m, row->section, "");
        say(m, "}");
        break;
    default: CHECK(!"a type that the test does not know");
    }
}

static unsigned made_kind; /* enum conf_kind of the listener being made; 0: none is */

/* These hang on others of their listener: they have tests of their own. */
static bool hangs_on_others(const struct conf_section *section, const struct conf_row *row)
{
    bool optional = row->flags & CONF_OMIT && row->type != CONF_T_POOL;
    bool by_balance = strcmp(row->name, "max_load") == 0 || strcmp(row->name, "slow_start") == 0;
    return optional || by_balance || row->type == CONF_T_TLS || /* needs files */
           row->type == CONF_T_CACHE ||                         /* refused in a pool of tcp */
           (section == &conf_section_pool && strcmp(row->name, "protocol") == 0) ||
           (section == &conf_section_listener && strcmp(row->name, "proxy_protocol") == 0);
}

/* What a type of check does not have is refused: this many settings go together. */
static void make_health(struct made *m)
{
    static const char *const types[] = {"none", "http", "tcp", "tls", "grpc", "udp"};
    unsigned type = (unsigned)pick_number(ARRAY_LEN(types) - 1);
    bool has_choice =
        type == CONF_HEALTH_HTTP || type == CONF_HEALTH_TCP || type == CONF_HEALTH_GRPC;
    struct conf_health h = {.type = type, .tls = has_choice && pick_number(1)};
    say(m, "type = \"%s\" %s ", types[type], h.tls ? "tls = true" : "");
    for (const struct conf_row *row = conf_section_health.rows; row->name; row++) {
        if (!pick_number(1) || !rows_apply(&conf_section_health, row, &h) ||
            row->type == CONF_T_ENUM || strcmp(row->name, "tls") == 0 ||
            strcmp(row->name, "method") == 0)
            continue;
        say(m, "%s = ", row->name);
        make_value(m, row);
        say(m, " ");
    }
}

static void make_section(struct made *m, const struct conf_section *section, const char *name)
{
    if (section == &conf_section_health) {
        make_health(m);
        return;
    }
    if (section == &conf_section_listener)
        made_kind = pick_number(2) == 0 ? CONF_KIND_TCP : CONF_KIND_HTTP;
    for (const struct conf_row *row = section->rows; row->name; row++) {
        bool wanted = pick_number(1) || row->flags & CONF_REQUIRED || row->type == CONF_T_POOLS ||
                      row->type == CONF_T_POOL;
        if (row->type == CONF_T_LATER || row->type == CONF_T_DEFAULTS ||
            hangs_on_others(section, row))
            continue;
        if (strcmp(row->name, "protocol") == 0 && section == &conf_section_listener) {
            say(m, "protocol = \"%s\"\n", made_kind == CONF_KIND_TCP ? "tcp" : "http");
        } else if (wanted && rows_fit(row, made_kind)) {
            say(m, "%s = ", row->name);
            make_value(m, row);
            say(m, *name ? "\n" : " ");
        }
    }
    if (section == &conf_section_listener)
        made_kind = 0;
}

TEST(whatever_the_rows_allow)
{
    struct made *m = malloc(sizeof *m);
    for (unsigned i = 1; i <= 100; i++) {
        *m = (struct made){.port = 10000};
        random_state = i;
        make_section(m, &conf_section_top, "top");
        const struct conf *c = load_into(&fixture_one, m->text);
        if (!c)
            fprintf(stderr, "%s\n", m->text);
        CHECK(c != NULL);
        check_round_trip(c);
    }
    free(m);
}

/* ---- documentation ---- */

TEST(every_option_is_documented)
{
    char *text = conf_dump_options_markdown();
    for (size_t i = 0; conf_sections[i]; i++) {
        for (const struct conf_row *row = conf_sections[i]->rows; row->name; row++) {
            char cell[96];
            snprintf(cell, sizeof cell, row->type == CONF_T_LATER ? "`%s`" : "| `%s` | ",
                     row->name);
            CHECK(strstr(text, cell) != NULL);
            CHECK(row->type == CONF_T_LATER || row->help || row->section);
        }
    }
    CHECK(strstr(
        text,
        "| `interval` | duration | `\"10s\"` | 10ms to 24d | Between two checks of a backend"));
    free(text);
}
