/* cli/plan.c: what a reload of a file would change in the running instance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/arg.h"
#include "cli/commands.h"
#include "cli/instance.h"
#include "cli/running.h"
#include "proc/plan.h"

#define STATUS_CHANGES 2

struct comparison {
    struct instance_choice choice;
    struct instance instance;
    const char *path; /* of the file */
    bool as_json, exit_code;
    struct arena arena;
    const struct conf *from, *to;
};

static int fail(const char *text)
{
    fprintf(stderr, "ballast plan: %s\n", text);
    return 1;
}

/* ---- the two configurations ---- */

static const struct conf *load_file(struct comparison *c)
{
    struct conf_errors errors;
    conf_errors_init(&errors, &c->arena);
    const struct conf *conf = conf_load(c->path, &c->arena, &errors);
    if (!conf)
        fputs(conf_errors_format(&errors), stderr);
    return conf;
}

/* The instance of this file; else the only one there is. */
static int find_instance(struct comparison *c)
{
    char why[512], other[512];
    struct instance_choice any = {.pid = c->choice.pid};
    if (c->choice.pid == 0 && c->choice.conf_path &&
        instance_find(&c->choice, &c->instance, why, sizeof(why)) == 0)
        return 0;
    if (instance_find(&any, &c->instance, other, sizeof(other)) == 0)
        return 0;
    fail(other);
    return -1;
}

/* ---- the answer ---- */

static void print_list(const char *title, uint32_t count, const char *const *texts)
{
    if (count > 0)
        printf("%s\n", title);
    for (uint32_t i = 0; i < count; i++)
        printf("  %s\n", texts[i]);
}

static void print_text(const struct comparison *c, const struct plan *p)
{
    uint32_t generation = word_get(&c->instance.table.header->generation);
    if (p->change_count == 0)
        printf("%s changes nothing in pid %u (generation %u)\n", c->path, c->instance.pid,
               generation);
    else
        printf("%s would change in pid %u (generation %u):\n", c->path, c->instance.pid,
               generation);
    for (const struct conf_change *change = p->changes; change; change = change->next)
        printf("  %s\n", change->text);
    if (p->overrides)
        puts("overrides of the API:");
    for (const struct plan_note *n = p->overrides; n; n = n->next)
        printf("  %s\n", n->text);
    if (p->change_count > 0)
        printf("connections that drain: %llu; requests in flight on backends that go: %llu\n",
               (unsigned long long)p->connections, (unsigned long long)p->in_flight);
    print_list("a reload refuses this:", p->refusal_count, p->refusals);
}

static void print_json(const struct comparison *c, const struct plan *p)
{
    struct json j;
    json_init(&j);
    json_object_begin(&j);
    json_kv_string(&j, "file", c->path);
    json_kv_uint(&j, "pid", c->instance.pid);
    json_kv_uint(&j, "generation", word_get(&c->instance.table.header->generation));
    plan_write(&j, p, UINT32_MAX);
    json_key(&j, "refusals");
    json_array_begin(&j);
    for (uint32_t i = 0; i < p->refusal_count; i++)
        json_string(&j, p->refusals[i]);
    json_array_end(&j);
    json_object_end(&j);
    puts(json_finish(&j, NULL));
    json_free(&j);
}

static int compare(struct comparison *c)
{
    if (!c->path)
        c->path = c->instance.table.header->conf_path;
    if (!c->path[0])
        return fail("this instance was started from flags: say with -c which file to compare");
    c->to = load_file(c);
    c->from = c->to ? running_conf(&c->instance, &c->arena, "plan") : NULL;
    if (!c->from)
        return 1;
    struct plan p = plan_make(&c->instance.table, c->from, c->to, &c->arena);
    if (c->as_json)
        print_json(c, &p);
    else
        print_text(c, &p);
    if (p.refusal_count > 0)
        return 1;
    return c->exit_code && (p.change_count > 0 || p.superseded > 0) ? STATUS_CHANGES : 0;
}

int command_plan(int argc, char **argv)
{
    struct comparison c = {0};
    const struct cli_arg rows[] = {{"config", 'c', CLI_TEXT, &c.path, 0},
                                   {"pid", 0, CLI_PID, &c.choice.pid, 0},
                                   {"json", 0, CLI_FLAG, &c.as_json, 0},
                                   {"exit-code", 0, CLI_FLAG, &c.exit_code, 0},
                                   {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, NULL);
    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    c.choice.conf_path = c.path;
    if (find_instance(&c) == -1)
        return 1;
    arena_init(&c.arena);
    int status = compare(&c);
    arena_free(&c.arena);
    instance_close(&c.instance);
    return status;
}
