/*
 * tests/fuzz/fuzz_conf.c: any bytes as a configuration file. Either it loads, and then what is
 * shown of it loads again to the same; or there is at least one error, and each error is a line of
 * text. No file is opened (a text may not include any, and the only files that it can name are read
 * by nobody here) and no name is resolved.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf.h"
#include "conf/walk.h"

#define ARENA_BYTES (64u << 20)

struct side {
    struct arena arena, errors_arena;
    struct conf_errors errors;
    char *memory;
    struct conf *conf;
};
static struct side first, second;

static int resolve_nothing(const char *text, struct net_addr *out, char *why, size_t why_cap)
{
    (void)text;
    (void)out;
    snprintf(why, why_cap, "no such host");
    return -1;
}

static bool miss_nobody(const char *name)
{
    return !*name;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

static void load(struct side *s, const char *text)
{
    if (!s->memory && !(s->memory = malloc(ARENA_BYTES)))
        abort();
    arena_init_fixed(&s->arena, s->memory, ARENA_BYTES);
    arena_init(&s->errors_arena);
    conf_errors_init(&s->errors, &s->errors_arena);
    s->conf = conf_load_text(text, "fuzz", &s->arena, &s->errors);
    if (!s->conf == !s->errors.count)
        fail("errors and a configuration, or neither");
}

static void check_errors(const struct conf_errors *errors)
{
    uint32_t lines = 0;
    for (const char *at = conf_errors_format(errors); (at = strchr(at, '\n')); at++)
        lines++;
    if (lines != errors->count)
        fail("an error is not one line");
}

static void check_round_trip(void)
{
    char *shown = conf_dump_text(first.conf), *json = conf_dump_json(first.conf);
    load(&second, shown);
    if (!second.conf)
        fail(conf_errors_format(&second.errors));
    char *again = conf_dump_text(second.conf);
    if (strcmp(shown, again) != 0)
        fail("what is shown loads to something else");
    if (conf_plan(first.conf, second.conf, &second.errors_arena))
        fail("what is shown would change something");
    arena_free(&second.errors_arena);
    free(shown);
    free(json);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    walk_system = (struct walk_system){resolve_nothing, miss_nobody};
    load(&first, text);
    free(text); /* nothing may point there */
    if (first.conf)
        check_round_trip();
    else
        check_errors(&first.errors);
    arena_free(&first.errors_arena);
    return 0;
}
