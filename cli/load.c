/* cli/load.c: `ballast load`, the command. */
#include "cli/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "base/arena.h"
#include "cli/arg.h"
#include "cli/commands.h"

#define REQUESTS_MAX    100000000u
#define CONCURRENCY_MAX 60000u
#define TIMEOUT_MAX_MS  3600000u
#define SPARE_FILES     64u

struct command {
    const char *url, *method, *output, *by;
    struct cli_list headers;
    uint64_t requests, concurrency, timeout_ms;
    bool close;
};

static bool names_field(const struct cli_list *headers, const char *name)
{
    size_t len = strlen(name);

    for (uint32_t i = 0; i < headers->count; i++)
        if (strncasecmp(headers->items[i], name, len) == 0 && headers->items[i][len] == ':')
            return true;
    return false;
}

/* "NAME: VALUE" without what would end the line. */
static bool is_field(const char *text)
{
    const char *colon = strchr(text, ':');

    return colon && http1_is_token(text, (size_t)(colon - text)) && !strpbrk(text, "\r\n");
}

static bool is_clean(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 127)
            return false;
    return true;
}

/* The address out of http://HOST[:PORT][/PATH]; *path is the rest. 0, or an exit status. */
static int read_url(const struct command *c, struct load_plan *p, struct arena *arena,
                    const char **host, const char **path)
{
    const char *at = c->url;
    char why[256];

    if (strncmp(at, "https://", 8) == 0)
        return cli_wrong("load", "no TLS here: h2load and wrk speak it");
    at += strncmp(at, "http://", 7) == 0 ? 7 : 0;
    size_t len = strcspn(at, "/?#");
    if (len == 0 || len > 255 || !is_clean(c->url))
        return cli_wrong("load", "`%s` is not like http://host:port/path", c->url);
    *host = arena_printf(arena, "%.*s", (int)len, at);
    *path = at[len] == '/' ? at + len : arena_printf(arena, "/%s", at + len);
    const char *bracket = strchr(*host, ']'), *port = strchr(bracket ? bracket : *host, ':');
    if (net_addr_resolve(arena_printf(arena, port ? "%s" : "%s:80", *host), &p->addr, why,
                         sizeof(why)) == 0)
        return 0;
    fprintf(stderr, "ballast load: %s\n", why);
    return 1;
}

static int write_request(const struct command *c, struct load_plan *p, struct arena *arena,
                         const char *host, const char *path)
{
    const char *fields = "";

    if (!http1_is_token(c->method, strlen(c->method)))
        return cli_wrong("load", "`%s` is no method", c->method);
    for (uint32_t i = 0; i < c->headers.count; i++) {
        if (!is_field(c->headers.items[i]))
            return cli_wrong("load", "`%s` is not like 'NAME: VALUE'", c->headers.items[i]);
        fields = arena_printf(arena, "%s%s\r\n", fields, c->headers.items[i]);
    }
    size_t path_len = strcspn(path, "#");
    p->request = arena_printf(arena, "%s %.*s HTTP/1.1\r\n%s%s%s%s%s\r\n", c->method, (int)path_len,
                              path, names_field(&c->headers, "Host") ? "" : "Host: ",
                              names_field(&c->headers, "Host") ? "" : host,
                              names_field(&c->headers, "Host") ? "" : "\r\n",
                              c->close ? "Connection: close\r\n" : "", fields);
    p->request_bytes = strlen(p->request);
    p->is_head = strcmp(c->method, "HEAD") == 0;
    return 0;
}

/* As many descriptors as connections, if we may. */
static int make_room(uint32_t concurrency)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= concurrency + SPARE_FILES)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= concurrency + SPARE_FILES)
        return 0;
    fprintf(stderr,
            "ballast load: %u connections need more open files than the %llu allowed "
            "(ulimit -n)\n",
            concurrency, (unsigned long long)limit.rlim_max);
    return -1;
}

static int plan(const struct command *c, struct load_plan *p, struct arena *arena)
{
    const char *host = "", *path = "";
    int status = read_url(c, p, arena, &host, &path);

    if (status == 0)
        status = write_request(c, p, arena, host, path);
    p->url = c->url;
    p->close = c->close;
    p->requests = c->requests;
    p->concurrency = (uint32_t)(c->concurrency < c->requests ? c->concurrency : c->requests);
    p->timeout_ms = c->timeout_ms;
    p->by = c->by;
    return status;
}

static int report(const struct command *c, const struct load_plan *p, const struct load_result *r)
{
    uint64_t errors = load_failed(r);

    for (unsigned i = 500; i < LOAD_STATUS_MAX; i++)
        errors += r->statuses[i];
    if (!c->output || strcmp(c->output, "-") != 0)
        load_report_text(p, r);
    if (c->output && load_report_json(p, r, c->output) == -1) {
        fprintf(stderr, "ballast load: cannot write %s: %s\n", c->output, strerror(errno));
        return 1;
    }
    return errors == 0 && r->answered > 0 ? 0 : 1;
}

static int run(const struct command *c)
{
    struct load_plan p;
    struct load_result r;
    struct arena arena;

    arena_init(&arena);
    int status = plan(c, &p, &arena);
    if (status == 0 && make_room(p.concurrency) == -1)
        status = 1;
    if (status == 0 && load_run(&p, &r) == 0) {
        status = report(c, &p, &r);
        load_result_free(&r);
    } else if (status == 0) {
        fprintf(stderr, "ballast load: out of memory\n");
        status = 1;
    }
    arena_free(&arena);
    return status;
}

int command_load(int argc, char **argv)
{
    struct command c = {.method = "GET",
                        .by = "X-Backend",
                        .requests = 1000,
                        .concurrency = 50,
                        .timeout_ms = 30000};
    const struct cli_arg rows[] = {{"url", 0, CLI_TEXT, &c.url, 0},
                                   {"requests", 'n', CLI_UINT, &c.requests, REQUESTS_MAX},
                                   {"concurrency", 0, CLI_UINT, &c.concurrency, CONCURRENCY_MAX},
                                   {"output", 'o', CLI_TEXT, &c.output, 0},
                                   {"method", 'X', CLI_TEXT, &c.method, 0},
                                   {"header", 'H', CLI_LIST, &c.headers, 0},
                                   {"timeout", 0, CLI_DURATION, &c.timeout_ms, TIMEOUT_MAX_MS},
                                   {"close", 0, CLI_FLAG, &c.close, 0},
                                   {"by", 0, CLI_TEXT, &c.by, 0},
                                   {0}};
    int words = 0;
    enum cli_args_result r = cli_args(argc, argv, rows, &words);

    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    if (words == 1 && !c.url)
        c.url = argv[1];
    else if (words > 0 || !c.url)
        return cli_wrong("load", "wants one URL, such as http://127.0.0.1:8080/");
    if (c.requests == 0 || c.concurrency == 0 || c.timeout_ms == 0)
        return cli_wrong("load", "--requests, --concurrency and --timeout are at least 1");
    return run(&c);
}
