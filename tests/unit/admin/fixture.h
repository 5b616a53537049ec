/*
 * tests/unit/admin/fixture.h: a table and a configuration made by the test, and calls into the API
 * without a socket. Pools app (b1, b2) and api (b1), one listener web, two workers.
 */
#ifndef BALLAST_TESTS_ADMIN_FIXTURE_H
#define BALLAST_TESTS_ADMIN_FIXTURE_H

#include <stdarg.h>
#include "tests/unit/harness.h"

#include "admin/api.h"
#include "admin/endpoint.h"
#include "admin/rate.h"
#include "admin/reload.h"
#include "shm/entry.h"
#include "shm/events.h"
#include "shm/pool.h"
#include "shm/slot.h"

struct fixture {
    struct table table;
    struct conf conf;
    struct conf_pool pools[2];
    struct conf_listener listener;
    struct conf_bind bind;
    struct api api;
    struct reload reload;
    int asked; /* how often the master was asked to reload */
    int ask_result;
    uint32_t app, other, web, b1, b2, other_b1;
    /* the last answer */
    struct response response;
    char *text;
};
static struct fixture fx;

static uint32_t add_backend(uint32_t pool, const char *name, const char *address)
{
    struct entry_spec spec = {
        .name = name, .endpoint = address, .weight = 1, .max_connections = 10};
    char why[128];
    CHECK_EQ(net_addr_parse(address, &spec.addr, why, sizeof(why)), 0);
    return entry_add(&fx.table, pool, &spec);
}

static int count_ask(void *arg)
{
    (void)arg;
    fx.asked++;
    return fx.ask_result;
}

static void make_table(void)
{
    char why[256];
    CHECK_EQ(table_create(&fx.table, "/etc/test.conf", why, sizeof(why)), 0);
    table_unlink(&fx.table); /* the mapping stays; nothing is left behind whatever happens */
    word_set(&fx.table.header->workers, 2);
    word_set(&fx.table.header->generation, 3);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_EQ(slot_claim(&fx.table, i, SLOT_WORKER, i), 0);
        slot_set_state(&fx.table, i, SLOT_READY);
    }
    CHECK_EQ(slot_claim(&fx.table, SLOT_ADMIN_INDEX, SLOT_ADMIN, 0), 0);
    table_lock(&fx.table);
    fx.app = pool_add(&fx.table, "app");
    fx.other = pool_add(&fx.table, "api");
    fx.web = listener_add(&fx.table, "web");
    fx.b1 = add_backend(fx.app, "b1", "127.0.0.1:9001");
    fx.b2 = add_backend(fx.app, "b2", "[::1]:9002");
    fx.other_b1 = add_backend(fx.other, "b1", "unix:/tmp/b1.sock");
    table_unlock(&fx.table);
}

static void make_conf(void)
{
    fx.pools[0] = (struct conf_pool){.name = "app", .balance = "round_robin", .row = fx.app};
    fx.pools[1] =
        (struct conf_pool){.name = "api", .balance = "least_connections", .row = fx.other};
    fx.bind = (struct conf_bind){.text = "127.0.0.1:8080"};
    fx.listener = (struct conf_listener){
        .name = "web", .protocol = CONF_HTTP, .binds = &fx.bind, .bind_count = 1, .row = fx.web};
    fx.conf = (struct conf){.generation = 3,
                            .path = "/etc/test.conf",
                            .admin = {.token = ""},
                            .listeners = &fx.listener,
                            .listener_count = 1,
                            .pools = fx.pools,
                            .pool_count = 2};
}

static void setup(void)
{
    make_table();
    make_conf();
    fx.reload = (struct reload){.ask = count_ask};
    fx.api = (struct api){.table = &fx.table,
                          .conf = &fx.conf,
                          .slot = SLOT_ADMIN_INDEX,
                          .rate = rate_new(),
                          .reload = &fx.reload};
    response_init(&fx.response);
}

/* Runs one request; "/path?query". The answer stays in fx.response and fx.text until the next. */
static unsigned call_request(struct request *q, const char *target, const char *body)
{
    static char path[512];
    size_t len;
    snprintf(path, sizeof(path), "%s", target);
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    q->path = path;
    q->query = query ? query : "";
    q->body = body ? body : "";
    q->body_bytes = strlen(q->body);
    if (!q->peer)
        q->peer = "127.0.0.1:4242";
    if (!q->bind_host)
        q->bind_host = "";
    response_free(&fx.response);
    response_init(&fx.response);
    endpoint_answer(&fx.api, q, &fx.response);
    const char *text = response_body(&fx.response, &len);
    free(fx.text);
    fx.text = strndup(text, len);
    return fx.response.status;
}

__attribute__((unused)) static unsigned call(unsigned method, const char *target, const char *body)
{
    struct request q = {.method = method};
    return call_request(&q, target, body);
}
__attribute__((unused)) static unsigned get(const char *target)
{
    return call(REQUEST_GET, target, NULL);
}
__attribute__((unused)) static unsigned post(const char *target, const char *body)
{
    return call(REQUEST_POST, target, body);
}

/* Does the last answer hold this text? Shown when not. */
#define CHECK_HAS(part)                                                                            \
    do {                                                                                           \
        if (!strstr(fx.text, part)) {                                                              \
            fprintf(stderr, "no %s in: %s\n", part, fx.text);                                      \
            harness_fail(__FILE__, __LINE__, "CHECK_HAS");                                         \
        }                                                                                          \
    } while (0)
#define CHECK_LACKS(part) CHECK(!strstr(fx.text, part))

__attribute__((unused)) static bool has_header(const char *line)
{
    return strstr(fx.response.headers, line) != NULL;
}

#endif
