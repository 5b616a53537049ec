/*
 * cli/signal.c: reload, stop, quit, reopen: each sends a signal to the master and then watches the
 * table until the outcome is there.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "cli/arg.h"
#include "cli/commands.h"
#include "cli/instance.h"
#include "cli/wait.h"
#include "conf/conf.h"
#include "conf/units.h"
#include "proc/control.h"
#include "shm/events.h"
#include "shm/slot.h"

#define DAY_MS       86400000ull
#define EVENTS_CHUNK 64u

#define STOPPED "it is stopped (SIGSTOP, or a debugger): kill -CONT wakes it"

/* What the table said just before the signal. */
struct before {
    uint64_t event, reloads_ok, reloads_failed;
};

struct errand {
    const char *command;
    uint32_t value; /* sent along with the signal; 0: none */
    struct instance_choice choice;
    uint64_t timeout_ms;
    struct instance instance;
    struct before before;
    struct wait wait;
};

enum outcome { PENDING, GOOD, BAD };

static int fail(struct errand *e, const char *text)
{
    fprintf(stderr, "ballast %s: %s\n", e->command, text);
    return 1;
}

static void remember(struct errand *e)
{
    const struct table *t = &e->instance.table;

    e->before.event = event_last(t);
    e->before.reloads_ok = count_get(&t->header->reloads_ok);
    e->before.reloads_failed = count_get(&t->header->reloads_failed);
}

/* The newest event of a kind since the signal. False: none. */
static bool find_event(const struct errand *e, const char *kind, struct event_copy *out)
{
    struct event_copy events[EVENTS_CHUNK];
    uint64_t since = e->before.event;
    bool found = false;
    uint32_t n;

    while ((n = event_read(&e->instance.table, since, events, EVENTS_CHUNK)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            if (strcmp(events[i].kind, kind) != 0)
                continue;
            *out = events[i];
            found = true;
        }
        since = events[n - 1].seq;
    }
    return found;
}

static int send_signal(struct errand *e, int signal_number)
{
    char text[160];

    if (wait_begin(&e->wait, e->instance.pid, e->timeout_ms) == -1)
        return fail(e, strerror(errno));
    remember(e);
    /* The pidfd was opened after the table was found alive: a pid used again meanwhile shows here.
     */
    if (table_master_alive(&e->instance.table) &&
        (e->value != 0 ? wait_signal_value(&e->wait, signal_number, e->value)
                       : wait_signal(&e->wait, signal_number)) == 0)
        return 0;
    snprintf(text, sizeof(text), "cannot signal pid %u: %s", e->instance.pid, strerror(errno));
    wait_end(&e->wait);
    return fail(e, text);
}

/* Reads the command line, finds the instance, sends the signal. 0, or -1 with the exit status in
 * *status. */
static int begin(struct errand *e, int argc, char **argv, int signal_number, int *status)
{
    const struct cli_arg rows[] = {{"config", 'c', CLI_TEXT, &e->choice.conf_path, 0},
                                   {"pid", 0, CLI_PID, &e->choice.pid, 0},
                                   {"timeout", 0, CLI_DURATION, &e->timeout_ms, DAY_MS},
                                   {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, NULL);
    char why[512];

    e->command = argv[0];
    *status = cli_args_status(r);
    if (r != CLI_ARGS_OK)
        return -1;
    if (instance_find(&e->choice, &e->instance, why, sizeof(why)) == -1) {
        *status = fail(e, why);
        return -1;
    }
    *status = send_signal(e, signal_number);
    if (*status != 0)
        instance_close(&e->instance);
    return *status == 0 ? 0 : -1;
}

/* Waits until look() knows. DEAD and the deadline are errors here: the instance should go on
 * running. */
static enum outcome watch(struct errand *e, enum outcome (*look)(struct errand *), const char *what)
{
    enum wait_result r = WAIT_TICK;
    enum outcome o;
    char text[160], limit[UNITS_STRLEN];

    while ((o = look(e)) == PENDING && r == WAIT_TICK) {
        wait_say(&e->wait, "ballast %s: waiting for the master (pid %u) to %s", e->command,
                 e->instance.pid, what);
        r = wait_next(&e->wait);
    }
    wait_end(&e->wait);
    if (o != PENDING)
        return o;
    if (r == WAIT_DEAD)
        snprintf(text, sizeof(text), "the master (pid %u) died meanwhile", e->instance.pid);
    else
        snprintf(text, sizeof(text), "no answer within %s; %s%s",
                 units_format(UNITS_DURATION, e->timeout_ms, limit),
                 instance_is_stopped(&e->instance) ? STOPPED ", and then it will "
                                                   : "it may still ",
                 what);
    fail(e, text);
    return PENDING;
}

static enum outcome look_reload(struct errand *e)
{
    const struct table_header *h = e->instance.table.header;

    if (count_get(&h->reloads_failed) > e->before.reloads_failed)
        return BAD;
    return count_get(&h->reloads_ok) > e->before.reloads_ok ? GOOD : PENDING;
}

/* The event holds the first error; the file still says all of them, unless it was only the adoption
 * that failed. */
static void report_refused(struct errand *e)
{
    const char *path = e->instance.table.header->conf_path;
    struct conf_errors errors;
    struct event_copy event;
    struct arena arena;

    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    fail(e, "refused, the old configuration keeps serving:");
    if (path[0] && !conf_load(path, &arena, &errors))
        fputs(conf_errors_format(&errors), stderr);
    else if (find_event(e, "reload", &event))
        fprintf(stderr, "%s\n", event.reason);
    arena_free(&arena);
}

int command_reload(int argc, char **argv)
{
    struct errand e = {.timeout_ms = 60000};
    struct event_copy event;
    int status;

    if (begin(&e, argc, argv, SIGUSR2, &status) == -1)
        return status;
    enum outcome o = watch(&e, look_reload, "adopt the configuration");
    if (o == GOOD && find_event(&e, "reload", &event))
        printf("reloaded: %s\n", event.reason);
    else if (o == BAD)
        report_refused(&e);
    instance_close(&e.instance);
    return o == GOOD ? 0 : 1;
}

static enum outcome look_reopen(struct errand *e)
{
    struct event_copy event;

    if (!find_event(e, "reopen", &event))
        return PENDING;
    return strcmp(event.to, "failed") == 0 ? BAD : GOOD;
}

int command_reopen(int argc, char **argv)
{
    struct errand e = {.timeout_ms = 10000};
    struct event_copy event;
    int status;

    if (begin(&e, argc, argv, SIGUSR1, &status) == -1)
        return status;
    enum outcome o = watch(&e, look_reopen, "reopen its log files");
    if (o == GOOD)
        puts("log files reopened");
    else if (o == BAD && find_event(&e, "reopen", &event))
        fail(&e, event.reason);
    instance_close(&e.instance);
    return o == GOOD ? 0 : 1;
}

/* The new program may have made a table of its own. */
static void look_anew(struct errand *e)
{
    struct table t;
    char why[256];

    if (table_attach(&t, e->instance.pid, why, sizeof(why)) == -1)
        return;
    if (t.header->started_mono_us == e->instance.table.header->started_mono_us) {
        table_close(&t);
        return;
    }
    table_close(&e->instance.table);
    e->instance.table = t;
    e->before.event = 0;
}

static enum outcome look_upgrade(struct errand *e)
{
    struct event_copy event;

    look_anew(e);
    if (!find_event(e, "upgrade", &event) || strcmp(event.to, "testing") == 0)
        return PENDING;
    return strcmp(event.to, "serving") == 0 ? GOOD : BAD;
}

int command_upgrade(int argc, char **argv)
{
    struct errand e = {.timeout_ms = 60000, .value = SIGNALS_UPGRADE};
    struct event_copy event;
    int status;

    if (begin(&e, argc, argv, SIGUSR2, &status) == -1)
        return status;
    enum outcome o = watch(&e, look_upgrade, "upgrade");
    if (o != PENDING && find_event(&e, "upgrade", &event)) {
        if (o == GOOD)
            printf("upgraded: version %s serves, before it %s (%s)\n",
                   e.instance.table.header->product_version, event.from, event.reason);
        else
            fail(&e, event.reason);
    }
    instance_close(&e.instance);
    return o == GOOD ? 0 : 1;
}

/* A clean exit removes the table; one that is still there was left by a crash or a kill -9. */
static bool table_remains(uint32_t pid)
{
    struct table t;
    char why[256];

    if (table_attach(&t, pid, why, sizeof(why)) == -1)
        return false;
    table_close(&t);
    return true;
}

static int report_end(struct errand *e, enum wait_result r)
{
    char text[160], limit[UNITS_STRLEN];

    if (r == WAIT_DEADLINE) {
        snprintf(text, sizeof(text), "pid %u still runs after %s, %u clients connected%s",
                 e->instance.pid, units_format(UNITS_DURATION, e->timeout_ms, limit),
                 slot_clients(&e->instance.table),
                 instance_is_stopped(&e->instance) ? "; " STOPPED : "");
        return fail(e, text);
    }
    if (table_remains(e->instance.pid)) {
        snprintf(text, sizeof(text), "pid %u ended, but not cleanly: see its log", e->instance.pid);
        return fail(e, text);
    }
    puts("stopped");
    return 0;
}

static int stop_with(int argc, char **argv, int signal_number, uint64_t timeout_ms)
{
    struct errand e = {.timeout_ms = timeout_ms};
    enum wait_result r;
    int status;

    if (begin(&e, argc, argv, signal_number, &status) == -1)
        return status;
    while ((r = wait_next(&e.wait)) == WAIT_TICK)
        wait_say(&e.wait, "ballast %s: waiting for %u client connections to finish", e.command,
                 slot_clients(&e.instance.table));
    wait_end(&e.wait);
    status = report_end(&e, r);
    instance_close(&e.instance);
    return status;
}

int command_stop(int argc, char **argv)
{
    return stop_with(argc, argv, SIGTERM, 120000);
}

int command_quit(int argc, char **argv)
{
    return stop_with(argc, argv, SIGQUIT, 0);
}
