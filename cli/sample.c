/*
 * cli/sample.c: who runs sample servers: the command `ballast backend` (one process, one or more
 * ports, until a signal) and the sample role of `ballast demo` (one process per port under the
 * demo's master).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/arg.h"
#include "cli/commands.h"
#include "cli/sample.h"

#define PORTS_MAX 64u

uint16_t sample_ports[3];

/* ---- the command ---- */

struct sample_run {
    struct ev_loop *loop;
    struct sample_server servers[PORTS_MAX];
    char ids[PORTS_MAX][24];
    unsigned count, drained;
    ev_signal on_term, on_int;
};

static void on_drained(void *arg)
{
    struct sample_run *run = arg;

    if (++run->drained == run->count)
        ev_break(run->loop, EVBREAK_ALL);
}

/* First signal: finish what is in flight; second: now. */
static void on_stop(EV_P_ ev_signal *w, int revents UNUSED)
{
    struct sample_run *run = w->data;

    if (run->servers[0].draining) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    for (unsigned i = 0; i < run->count; i++)
        sample_server_drain(&run->servers[i]);
}

static void watch_signals(struct sample_run *run)
{
    signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&run->on_term, on_stop, SIGTERM);
    ev_signal_init(&run->on_int, on_stop, SIGINT);
    run->on_term.data = run->on_int.data = run;
    ev_signal_start(run->loop, &run->on_term);
    ev_signal_start(run->loop, &run->on_int);
}

static int open_one(struct sample_run *run, const struct sample_options *o, uint16_t port)
{
    struct sample_options mine = *o;
    unsigned i = run->count;
    char why[256];

    mine.port = port;
    if (!mine.id) {
        snprintf(run->ids[i], sizeof(run->ids[i]), "backend-%u", port);
        mine.id = run->ids[i];
    }
    if (sample_server_open(&run->servers[i], run->loop, &mine, why, sizeof(why)) == -1) {
        fprintf(stderr, "ballast backend: %s\n", why);
        return -1;
    }
    run->servers[i].on_drained = on_drained;
    run->servers[i].drained_arg = run;
    sample_server_serve(&run->servers[i]);
    run->count++;
    printf("%s listens on http://%s:%u/\n", mine.id, mine.host, port);
    return 0;
}

/* The connections of a second signal are closed by the kernel: the process ends. */
static int run_ports(const struct sample_options *o, const uint16_t *ports, unsigned count)
{
    struct sample_run *run = calloc(1, sizeof(*run));
    int status = 1;

    if (run)
        run->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!run || !run->loop) {
        fprintf(stderr, "ballast backend: out of memory\n");
        free(run);
        return 1;
    }
    watch_signals(run);
    while (run->count < count && open_one(run, o, ports[run->count]) == 0)
        ;
    if (run->count == count) {
        fflush(stdout);
        ev_run(run->loop, 0);
        status = 0;
    }
    ev_signal_stop(run->loop, &run->on_term);
    ev_signal_stop(run->loop, &run->on_int);
    ev_loop_destroy(run->loop);
    free(run);
    return status;
}

int sample_run(const struct sample_options *o)
{
    return run_ports(o, &o->port, 1);
}

/* "8001 8002", "8001,8002", "8001-8003". Returns the count, 0 when malformed. */
static unsigned parse_ports(const char *text, uint16_t *out)
{
    char copy[256], *save = NULL;
    unsigned count = 0;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
        char *dash = strchr(word, '-');
        uint64_t from, to;
        if (dash)
            *dash = '\0';
        if (cli_parse_uint(word, UINT16_MAX, &from) == -1 || from == 0 ||
            cli_parse_uint(dash ? dash + 1 : word, UINT16_MAX, &to) == -1 || to < from)
            return 0;
        for (; from <= to; from++) {
            if (count == PORTS_MAX)
                return 0;
            out[count++] = (uint16_t)from;
        }
    }
    return count;
}

int command_backend(int argc, char **argv)
{
    struct sample_options o = {.host = "127.0.0.1"};
    uint64_t port = 0, delay_ms = 0, body_bytes = 0;
    const char *list = NULL;
    uint16_t ports[PORTS_MAX];
    const struct cli_arg rows[] = {{"port", 'p', CLI_UINT, &port, UINT16_MAX},
                                   {"ports", 0, CLI_TEXT, &list, 0},
                                   {"host", 0, CLI_TEXT, &o.host, 0},
                                   {"id", 0, CLI_TEXT, &o.id, 0},
                                   {"delay", 0, CLI_DURATION, &delay_ms, 3600000},
                                   {"fail-rate", 0, CLI_FRACTION, &o.fail_rate, 0},
                                   {"body-size", 0, CLI_SIZE, &body_bytes, UINT32_MAX},
                                   {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, NULL);
    unsigned count = 1;

    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    if ((port == 0) == (list == NULL))
        return cli_wrong("backend", "say which port with --port N, or several with --ports LIST");
    ports[0] = (uint16_t)port;
    if (list && (count = parse_ports(list, ports)) == 0)
        return cli_wrong("backend",
                         "`--ports %s`: wants up to %u ports, such as 8001-8003 or "
                         "8001,8002",
                         list, PORTS_MAX);
    o.delay_ms = (uint32_t)delay_ms;
    o.body_bytes = (uint32_t)body_bytes;
    return run_ports(&o, ports, count);
}

/* ---- the role ---- */

static void on_role_drained(void *arg)
{
    child_exit(arg);
}

static int role_start(struct child *c, char *why, size_t why_cap)
{
    struct sample_server *s = calloc(1, sizeof(*s));
    char *id = malloc(16);

    if (!s || !id || c->index >= ARRAY_LEN(sample_ports)) {
        snprintf(why, why_cap, "no memory, or no port, for sample %u", c->index);
        free(s);
        free(id);
        return -1;
    }
    snprintf(id, 16, "backend-%u", c->index + 1);
    const struct sample_options o = {.host = "127.0.0.1", .id = id, .port = sample_ports[c->index]};
    if (sample_server_open(s, c->loop, &o, why, why_cap) == -1) {
        free(s);
        free(id);
        return -1;
    }
    s->on_drained = on_role_drained;
    s->drained_arg = c;
    c->data = s;
    return 0;
}

static void role_serve(struct child *c)
{
    sample_server_serve(c->data);
}

static void role_go(struct child *c, const struct conf *old)
{
    child_release(c, old); /* a sample looks at no configuration */
}

static void role_drain(struct child *c, uint32_t deadline_ms UNUSED)
{
    sample_server_drain(c->data);
}

const struct role sample_role = {
    .name = "sample",
    .slot_role = SLOT_SAMPLE,
    .start = role_start,
    .serve = role_serve,
    .go = role_go,
    .drain = role_drain,
};
