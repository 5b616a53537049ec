/* Every option of every section refuses what it cannot be, and says where: by the rows themselves,
 * so that a new option is in here the day it is written. */
#include "conf/rows.h"
#include "tests/unit/conf/conf_fixture.h"

/* Where a section's settings stand; %s: one of them, on the third line. */
static const struct {
    const char *path, *text;
} places[] = {
    {"", "%s"},
    {"log", "log = {\n%s }"},
    {"admin", "admin = {\n%s }"},
    {"cache", "cache = {\n%s }"},
    {"conditions.*", "conditions = { one = {\n%s } }"},
};

/* Those that may stand in a listener, or below it. */
static const struct {
    const char *path, *open, *close;
} inside[] = {
    {"listeners.*", "", ""},
    {"listeners.*.timeouts", "timeouts = {", "}"},
    {"listeners.*.limits", "limits = {", "}"},
    {"listeners.*.access_log", "access_log = {", "}"},
    {"listeners.*.rate_limit", "rate_limit = {", "}"},
    {"listeners.*.sni", "protocol = \"tcp\"\nsni = ( {", "} )"},
    {"listeners.*.tls", "tls = {", "}"},
    {"listeners.*.tls.certificates", "tls = { certificates = ( {", "} ) }"},
    {"listeners.*.routes", "routes = ( {", "} )"},
    {"listeners.*.routes.split", "routes = ( { split = ( {", "} ) } )"},
    {"listeners.*.routes.timeouts", "routes = ( { timeouts = {", "} } )"},
    {"request_headers", "request_headers = {", "}"},
    {"response_headers", "response_headers = {", "}"},
    {"error_pages", "error_pages = ( {", "} )"},
    {"compression", "compression = {", "}"},
    {"auth", "auth = {", "}"},
    {"auth.jwt", "auth = { jwt = {", "} }"},
    {"auth.request", "auth = { request = {", "} }"},
    {"pools.*", "", ""},
    {"pools.*.backends", "backends = ( {", "} )"},
    {"pools.*.health", "health = {", "}"},
    {"pools.*.timeouts", "timeouts = {", "}"},
    {"pools.*.retry", "retry = {", "}"},
    {"pools.*.passive", "passive = {", "}"},
    {"pools.*.circuit_breaker", "circuit_breaker = {", "}"},
    {"pools.*.queue", "queue = {", "}"},
    {"pools.*.sticky", "sticky = {", "}"},
    {"pools.*.tls", "tls = {", "}"},
    {"pools.*.cache", "cache = {", "}"},
};

/* The text with the setting alone on its line, the third or later; NULL: nobody said where. */
static const char *place(const char *path, const char *setting)
{
    static char text[4096];
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (strcmp(places[i].path, path) == 0) {
            size_t len = (size_t)snprintf(text, sizeof text, "%s", MINIMAL);
            snprintf(text + len, sizeof text - len, places[i].text, setting);
            return text;
        }
    for (size_t i = 0; i < ARRAY_LEN(inside); i++)
        if (strcmp(inside[i].path, path) == 0) {
            bool pool = strncmp(path, "pools", 5) == 0;
            snprintf(
                text, sizeof text, "%s\n%s\n%s\n%s } }",
                pool ? "listeners = { web = { bind = \"*:80\", pool = \"app\" } } pools = { app = {"
                     : "pools = { app = { backends = [ ] } } listeners = { web = {",
                inside[i].open, setting, inside[i].close);
            return text;
        }
    return NULL;
}

static uint32_t line_of(const char *text, const char *setting)
{
    uint32_t line = 1;
    for (const char *at = strstr(text, setting); at-- > text;)
        line += *at == '\n';
    return line;
}

/* Some error on that line names the option. */
static void refuses(const struct conf_section *s, const struct conf_row *row, const char *value)
{
    char setting[256], where[32];
    snprintf(setting, sizeof setting, "%s = %s", row->name, value);
    const char *text = place(s->path, setting);
    if (!text) {
        fprintf(stderr, "where does %s stand?\n", s->path);
        CHECK(text != NULL);
        return;
    }
    snprintf(where, sizeof where, "t:%u: ", line_of(text, setting));
    bool named = false;
    char *errors = strdup(load_bad(text)), *rest = errors;
    for (char *one; (one = strsep(&rest, "\n"));)
        named |= strncmp(one, where, strlen(where)) == 0 && strstr(one, row->name);
    if (!named)
        fprintf(stderr, "%s with %s: %s\n", s->path, setting, load_bad(text));
    CHECK(named);
    free(errors);
}

TEST(what_no_option_can_be)
{
    uint32_t seen = 0;
    for (const struct conf_section *const *s = conf_sections; *s; s++)
        for (const struct conf_row *row = (*s)->rows; row->name; row++, seen++)
            refuses(*s, row, "( ( ( 7 ) ) )");
    CHECK(seen > 200);
}

/* No option is below zero, and none that wants words, groups or lists takes a number. */
TEST(numbers_below_zero)
{
    for (const struct conf_section *const *s = conf_sections; *s; s++)
        for (const struct conf_row *row = (*s)->rows; row->name; row++)
            refuses(*s, row, "-7");
}

/* Whatever stands there, it is loaded or refused. */
TEST(no_shape_is_too_odd)
{
    static const char *const shapes[] = {"( 7 )",   "( )",         "{ }",      "{ x = 1 }",
                                         "( { } )", "{ x = { } }", "[ \"\" ]", "1.5"};
    char setting[256];
    struct fixture *f = &fixture_one;
    for (const struct conf_section *const *s = conf_sections; *s; s++)
        for (const struct conf_row *row = (*s)->rows; row->name; row++)
            for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
                snprintf(setting, sizeof setting, "%s = %s", row->name, shapes[i]);
                fixture_init(f);
                bool loaded =
                    conf_load_text(place((*s)->path, setting), "t", &f->arena, &f->errors) != NULL;
                CHECK_EQ(loaded, f->errors.count == 0);
            }
}
