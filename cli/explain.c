/*
 * cli/explain.c: `ballast explain`: where a request would go and why, from the live table and the
 * configuration that the instance serves. Reads only.
 */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/arg.h"
#include "cli/commands.h"
#include "cli/running.h"
#include "conf/regex.h"
#include "conf/route_match.h"

#define HEAD_BYTES  65536u
#define HEADERS_MAX 64u

struct question {
    struct instance_choice choice;
    const char *client, *listener;
    struct cli_list headers;
    bool as_json;
    char method[32], host[256], path[4096]; /* path with its query */
    uint16_t port;                          /* 0: none given */
    bool is_https;
};

static int fail(const char *fmt, const char *what)
{
    fprintf(stderr, "ballast explain: ");
    fprintf(stderr, fmt, what);
    fputc('\n', stderr);
    return -1;
}

/* ---- the request ---- */

/* "GET http://host:port/path?query"; the method may be left out, and so may http://. */
static int read_target(struct question *q, const char *text)
{
    const char *space = strchr(text, ' '), *url = space ? space + 1 : text;
    snprintf(q->method, sizeof(q->method), "%.*s", space ? (int)(space - text) : 3,
             space ? text : "GET");
    q->is_https = strncmp(url, "https://", 8) == 0;
    url += q->is_https ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    size_t host = strcspn(url, "/?");
    if (!http1_is_token(q->method, strlen(q->method)) || host == 0 || host >= sizeof(q->host) ||
        strlen(url + host) + 2 >= sizeof(q->path))
        return fail("`%s` is not like 'GET http://host/path'", text);
    snprintf(q->host, sizeof(q->host), "%.*s", (int)host, url);
    snprintf(q->path, sizeof(q->path), "%s%s", url[host] == '/' ? "" : "/", url + host);
    const char *colon = strrchr(q->host, ':'), *bracket = strrchr(q->host, ']');
    uint64_t port = 0;
    if (colon && (!bracket || colon > bracket) && cli_parse_uint(colon + 1, 65535, &port) == -1)
        return fail("`%s`: no such port", colon + 1);
    q->port = (uint16_t)port;
    return 0;
}

/* As it would come over the wire, so that the same parser reads it. */
static int write_head(const struct question *q, char *out, size_t cap)
{
    bool host_given = false;
    size_t len = 0;
    for (uint32_t i = 0; i < q->headers.count; i++)
        host_given |= strncasecmp(q->headers.items[i], "host:", 5) == 0;
    len += (size_t)snprintf(out, cap, "%s %s HTTP/1.1\r\n", q->method, q->path);
    if (!host_given && len < cap)
        len += (size_t)snprintf(out + len, cap - len, "Host: %s\r\n", q->host);
    for (uint32_t i = 0; i < q->headers.count && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s\r\n", q->headers.items[i]);
    if (len < cap)
        len += (size_t)snprintf(out + len, cap - len, "\r\n");
    return len < cap ? (int)len : -1;
}

static int read_request(struct explain *x, const struct question *q)
{
    static char text[HEAD_BYTES];
    static struct http1_head head;
    static const struct http1_limits limits = {HEAD_BYTES, HTTP1_HEADERS_MAX};
    char with_port[300], why[128];
    int len = write_head(q, text, sizeof(text));
    http1_head_reset(&head);
    if (len == -1 || http1_parse_request(&head, text, (uint32_t)len, &limits) != HTTP1_DONE ||
        head.head_bytes != (uint32_t)len)
        return fail("the request would be refused: %s", head.error ? head.error : "too long");
    x->head = &head;
    x->base = text;
    const char *client = q->client ? q->client : "127.0.0.1";
    bool six = strchr(client, ':') != NULL && client[0] != '[';
    snprintf(with_port, sizeof(with_port), six ? "[%s]:1" : "%s:1", client);
    if (net_addr_parse(with_port, &x->client, why, sizeof(why)) == -1 ||
        x->client.u.sa.sa_family == AF_UNIX)
        return fail("`--client %s`: not an address", client);
    snprintf(x->client_text, sizeof(x->client_text), "%.*s", (int)sizeof(x->client_text) - 1,
             client);
    return 0;
}

/* ---- the listener ---- */

static bool serves(const struct conf_listener *l, const struct question *q)
{
    uint16_t port = q->port ? q->port : q->is_https ? 443 : 80;
    if (q->listener)
        return strcmp(l->name, q->listener) == 0;
    for (uint32_t i = 0; i < l->bind_count; i++)
        if (net_addr_port(&l->binds[i].addr) == port)
            return true;
    return false;
}

/* The one with that name or port; without a port in the URL the only one there is will do. */
static const struct conf_listener *find_listener(const struct conf *c, const struct question *q)
{
    for (uint32_t i = 0; i < c->listener_count; i++)
        if (serves(&c->listeners[i], q))
            return &c->listeners[i];
    if (!q->listener && !q->port && c->listener_count == 1)
        return &c->listeners[0];
    (void)fail(q->listener ? "there is no listener \"%s\""
                           : "no listener has the port of %s: name "
                             "one with --listener",
               q->listener ? q->listener : q->host);
    return NULL;
}

/* ---- the route ---- */

static const struct conf_route *find_route(struct explain *x, enum route_result *result)
{
    static char scratch[3 * HEAD_BYTES];
    struct route_match m;
    struct regex_set *regexes = regex_set_new(x->conf);
    struct route_request r = {x->head, x->base, &x->client, regexes, scratch, NULL};
    *result = ROUTE_NONE;
    if (x->listener->routes && regexes)
        *result = route_match(x->listener->routes, &r, &m);
    const struct conf_route *found = *result == ROUTE_FOUND ? m.route : x->listener->fallback;
    regex_set_free(regexes);
    return found;
}

static void say(struct explain *x, const char *key, const char *value)
{
    if (x->as_json)
        json_kv_string(&x->json, key, value);
    else
        printf("%s: %s\n", key, value);
}

static void explain_pools(struct explain *x, const struct conf_route *r)
{
    const struct conf *c = x->conf;
    if (x->as_json) {
        json_key(&x->json, "pools");
        json_array_begin(&x->json);
    }
    if (!r && x->listener->pool != INDEX_NONE)
        explain_pool(x, &c->pools[x->listener->pool]);
    else if (r && r->pool != INDEX_NONE)
        explain_pool(x, &c->pools[r->pool]);
    for (uint32_t i = 0; r && i < r->split_count; i++) {
        if (!x->as_json)
            printf("%u of %u requests:\n", r->split[i].weight, r->split_weight);
        explain_pool(x, &c->pools[r->split[i].pool]);
    }
    if (x->as_json)
        json_array_end(&x->json);
}

static void explain_route(struct explain *x)
{
    enum route_result result = ROUTE_NONE;
    const struct conf_route *r = NULL;
    char text[64] = "none matches: what the listener says";
    if (x->listener->protocol == CONF_TCP)
        x->head = NULL; /* bytes are not looked at */
    else
        r = find_route(x, &result);
    if (result == ROUTE_FOUND)
        snprintf(text, sizeof(text), "number %u of the listener", r->index + 1);
    if (x->listener->routes)
        say(x, "route", result == ROUTE_REFUSED ? "refused: the path is ambiguous (400)" : text);
    if (result == ROUTE_REFUSED)
        return;
    if (r && r->redirect) {
        say(x, "redirect", r->redirect);
    } else if (r && r->respond) {
        snprintf(text, sizeof(text), "%u", r->respond);
        say(x, "respond", text);
    } else {
        explain_pools(x, r);
    }
}

/* ---- the command ---- */

static int answer(struct explain *x, const struct question *q)
{
    char text[64];
    x->listener = find_listener(x->conf, q);
    if (!x->listener)
        return 1;
    if (x->as_json) {
        json_init(&x->json);
        json_object_begin(&x->json);
    }
    snprintf(text, sizeof(text), "%s (%s)", x->listener->name,
             x->listener->protocol == CONF_TCP ? "tcp" : "http");
    say(x, "client", x->client_text);
    say(x, "listener", x->as_json ? x->listener->name : text);
    explain_route(x);
    if (x->as_json) {
        json_object_end(&x->json);
        puts(json_finish(&x->json, NULL));
        json_free(&x->json);
    }
    return 0;
}

static int run(const struct question *q)
{
    struct explain x = {.as_json = q->as_json};
    struct arena arena;
    char why[512];
    int status = 1;
    if (read_request(&x, q) == -1)
        return 2;
    if (instance_find(&q->choice, &x.instance, why, sizeof(why)) == -1) {
        (void)fail("%s", why);
        return 1;
    }
    arena_init(&arena);
    x.conf = running_conf(&x.instance, &arena, "explain");
    if (x.conf)
        status = answer(&x, q);
    arena_free(&arena);
    instance_close(&x.instance);
    return status;
}

int command_explain(int argc, char **argv)
{
    struct question q = {0};
    int words = 0;
    const struct cli_arg rows[] = {{"config", 'c', CLI_TEXT, &q.choice.conf_path, 0},
                                   {"pid", 0, CLI_PID, &q.choice.pid, 0},
                                   {"client", 0, CLI_TEXT, &q.client, 0},
                                   {"header", 'H', CLI_LIST, &q.headers, 0},
                                   {"listener", 0, CLI_TEXT, &q.listener, 0},
                                   {"json", 0, CLI_FLAG, &q.as_json, 0},
                                   {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, &words);
    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    if (words != 1)
        return cli_wrong("explain", "wants one request, such as 'GET http://host/path'");
    if (read_target(&q, argv[1]) == -1)
        return 2;
    return run(&q);
}
