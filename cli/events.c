/* cli/events.c: `ballast events`: the flight recorder in the table, as lines or JSON; it can be
 * read after a crash too. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "cli/arg.h"
#include "cli/commands.h"
#include "cli/instance.h"
#include "cli/wait.h"
#include "shm/events.h"
#include "shm/slot.h"

#define CHUNK 128u

struct events {
    struct instance_choice choice;
    struct instance instance;
    bool follow, json;
    uint64_t since; /* the last one shown */
};

static void print_json(const struct event_copy *e)
{
    char time[32];
    struct json j;

    json_init(&j);
    json_object_begin(&j);
    json_kv_uint(&j, "seq", e->seq);
    json_kv_string(&j, "time", clock_format_rfc3339(e->wall_ms, time, sizeof(time)));
    json_kv_string(&j, "kind", e->kind);
    json_kv_string(&j, "object", e->object);
    json_kv_string(&j, "from", e->from);
    json_kv_string(&j, "to", e->to);
    json_kv_string(&j, "reason", e->reason);
    json_object_end(&j);
    puts(json_finish(&j, NULL));
    json_free(&j);
}

/* What a terminal would obey rather than show becomes a question mark. */
static const char *printable(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return text;
}

static void print_line(struct event_copy *e)
{
    char time[32];

    printf("%s  %5llu  %-8s %-24s", clock_format_rfc3339(e->wall_ms, time, sizeof(time)),
           (unsigned long long)e->seq, printable(e->kind), printable(e->object));
    if (e->from[0] && e->to[0])
        printf("  %s -> %s", printable(e->from), printable(e->to));
    else if (e->from[0] || e->to[0])
        printf("  %s", printable(e->to[0] ? e->to : e->from));
    if (e->reason[0])
        printf("  (%s)", printable(e->reason));
    putchar('\n');
}

static void print_new(struct events *ev)
{
    struct event_copy copies[CHUNK];
    uint32_t n;

    while ((n = event_read(&ev->instance.table, ev->since, copies, CHUNK)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            if (ev->json)
                print_json(&copies[i]);
            else
                print_line(&copies[i]);
        }
        ev->since = copies[n - 1].seq;
    }
}

static int follow(struct events *ev)
{
    struct wait wait;
    enum wait_result r;

    if (wait_begin(&wait, ev->instance.pid, 0) == -1) {
        fprintf(stderr, "ballast events: the instance (pid %u) does not run any more\n",
                ev->instance.pid);
        return 1;
    }
    do {
        if (fflush(stdout) == EOF)
            break;
        r = wait_next(&wait);
        print_new(ev);
    } while (r == WAIT_TICK);
    wait_end(&wait);
    fprintf(stderr, "ballast events: the instance (pid %u) ended\n", ev->instance.pid);
    return 0;
}

int command_events(int argc, char **argv)
{
    struct events ev = {.choice = {.dead_too = true}};
    const struct cli_arg rows[] = {
        {"config", 'c', CLI_TEXT, &ev.choice.conf_path, 0}, {"pid", 0, CLI_PID, &ev.choice.pid, 0},
        {"follow", 'f', CLI_FLAG, &ev.follow, 0},           {"json", 0, CLI_FLAG, &ev.json, 0},
        {"since", 0, CLI_UINT, &ev.since, UINT64_MAX},      {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, NULL);
    char why[512];
    int status = 0;

    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    if (instance_find(&ev.choice, &ev.instance, why, sizeof(why)) == -1) {
        fprintf(stderr, "ballast events: %s\n", why);
        return 1;
    }
    print_new(&ev);
    if (ev.follow && ev.instance.alive)
        status = follow(&ev);
    else if (!ev.instance.alive)
        fprintf(stderr, "ballast events: the instance (pid %u) does not run any more\n",
                ev.instance.pid);
    instance_close(&ev.instance);
    return status;
}
