/* What a good file becomes. */
#include "base/clock.h"
#include "shm/layout.h"
#include "tests/unit/conf/conf_fixture.h"

#define WEB  "listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
#define POOL "pools = { app = { backends = [ ] } }\n"

static bool in_arena(const void *p)
{
    const char *at = p;
    return at >= fixture_one.memory && at < fixture_one.memory + FIXTURE_BYTES;
}

TEST(defaults_of_the_instance)
{
    const struct conf *c = load_good(MINIMAL);
    CHECK(c->workers_auto);
    CHECK(c->workers >= 1 && c->workers <= 56);
    CHECK_STR(c->pid_file, "/run/ballast/ballast.pid");
    CHECK_STR(c->path, "");
    CHECK_EQ(c->max_connections, 50000);
    CHECK_EQ(c->drain_timeout_ms, 30000);
    CHECK_STR(c->log.level, "info");
    CHECK_STR(c->log.target, "stderr");
    CHECK(!c->admin.off);
    CHECK_EQ(c->admin.bind_count, 1);
    CHECK_STR(c->admin.binds[0].text, "127.0.0.1:9900");
    CHECK_STR(c->admin.token_file, "");
    CHECK_STR(c->admin.token, "");
}

TEST(defaults_of_a_listener)
{
    const struct conf_listener *l = &load_good(MINIMAL)->listeners[0];
    CHECK_STR(l->name, "web");
    CHECK_EQ(l->protocol, CONF_HTTP);
    CHECK_EQ(l->bind_count, 1);
    CHECK_EQ(l->pool, 0);
    CHECK_EQ(l->timeouts.header_ms, 10000);
    CHECK_EQ(l->timeouts.body_ms, 60000);
    CHECK_EQ(l->timeouts.idle_ms, 60000);
    CHECK_EQ(l->limits.header_bytes, 32768);
    CHECK_EQ(l->limits.headers, 128);
    CHECK_EQ(l->limits.body_bytes, 50u << 20);
    CHECK_EQ(l->trusted_count, 0);
    CHECK_EQ(l->row, INDEX_NONE);
    CHECK_STR(l->pos.file, "t");
    CHECK_EQ(l->pos.line, 1);
}

TEST(defaults_of_a_pool)
{
    const struct conf_pool *p =
        &load_good(WEB "pools = { app = { backends = (\n{ address = \"10.0.0.1:1\" }) } }")
             ->pools[0];
    CHECK_STR(p->name, "app");
    CHECK_STR(p->balance, "round_robin");
    CHECK_EQ(p->timeouts.connect_ms, 5000);
    CHECK_EQ(p->timeouts.send_ms, 60000);
    CHECK_EQ(p->timeouts.read_ms, 60000);
    CHECK_EQ(p->keepalive, 32);
    CHECK_EQ(p->health.type, CONF_HEALTH_HTTP);
    CHECK_STR(p->health.path, "/health");
    CHECK_STR(p->health.host, "");
    CHECK_EQ(p->health.port, 0);
    CHECK_EQ(p->health.expect_count, 1);
    CHECK_EQ(p->health.expect[0].from, 200);
    CHECK_EQ(p->health.expect[0].to, 299);
    CHECK_EQ(p->health.interval_ms, 10000);
    CHECK_EQ(p->health.timeout_ms, 5000);
    CHECK_EQ(p->health.healthy_threshold, 2);
    CHECK_EQ(p->health.unhealthy_threshold, 3);
    const struct conf_backend *b = &p->backends[0];
    CHECK_STR(b->name, "10.0.0.1:1");
    CHECK_STR(b->address, "10.0.0.1:1");
    CHECK_EQ(b->weight, 1);
    CHECK_EQ(b->max_connections, 1000);
    CHECK(!b->backup);
    CHECK_EQ(b->entry, INDEX_NONE);
    CHECK_EQ(b->pos.line, 3);
}

TEST(everything_said)
{
    const struct conf *c = load_good(
        "workers = 3\npid_file = \"\"\nmax_connections = 7\ndrain_timeout = \"1500ms\"\n"
        "log = { level = \"debug\", target = \"/var/log/b.log\" }\n"
        "admin = { bind = [ \"[::1]:1\", \"unix:/run/a.sock\" ] }\n"
        "listeners = { db = { bind = [ \"10.0.0.1:5\", \"[::1]:5\" ], protocol = \"tcp\", pool = "
        "\"db\""
        " timeouts = { idle = \"2h\" } } }\n"
        "pools = { db = { balance = \"least_connections\", keepalive = 0\n"
        " backends = ( { name = \"a\", address = \"unix:/run/x\", weight = 0, max_connections = 0, "
        "backup = true }, \"h.test:9\" )\n"
        " health = { type = \"http\", path = \"/up?x=1\", host = \"a.b\", expect = [ \"200, 204\", "
        "\"301-303\" ], interval = \"50ms\", timeout = \"1s\", healthy_threshold = 9, "
        "unhealthy_threshold = 8 }\n"
        " timeouts = { connect = \"1ms\", send = \"2ms\", read = \"3ms\" } } }");
    CHECK_EQ(c->workers, 3);
    CHECK(!c->workers_auto);
    CHECK_STR(c->pid_file, "");
    CHECK_EQ(c->max_connections, 7);
    CHECK_EQ(c->drain_timeout_ms, 1500);
    CHECK_STR(c->log.target, "/var/log/b.log");
    CHECK_EQ(c->admin.bind_count, 2);
    CHECK_EQ(c->admin.binds[1].addr.u.sa.sa_family, AF_UNIX);
    CHECK_EQ(c->listeners[0].bind_count, 2);
    CHECK_EQ(c->listeners[0].timeouts.idle_ms, 7200000);
    const struct conf_pool *p = &c->pools[0];
    CHECK_STR(p->balance, "least_connections");
    CHECK_EQ(p->keepalive, 0);
    CHECK_EQ(p->backend_count, 2);
    CHECK_EQ(p->backends[0].weight, 0);
    CHECK_EQ(p->backends[0].max_connections, 0);
    CHECK(p->backends[0].backup);
    CHECK_STR(p->backends[1].name, "h.test:9");
    CHECK_EQ(net_addr_port(&p->backends[1].addr), 9);
    CHECK_EQ(p->health.expect_count, 3);
    CHECK_EQ(p->health.expect[1].to, 204);
    CHECK_EQ(p->health.expect[2].from, 301);
    CHECK_EQ(p->health.unhealthy_threshold, 8);
    CHECK_EQ(p->timeouts.read_ms, 3);
}

TEST(tcp_has_other_defaults)
{
    const struct conf *c = load_good(
        "listeners = { a = { bind = \"*:1\", protocol = \"tcp\", pool = \"t\" }\n"
        "b = { bind = \"*:2\", protocol = \"tcp\", pool = \"both\" }\n"
        "c = { bind = \"*:3\", pool = \"both\" }\n"
        "d = { bind = \"*:4\", pool = \"off\", protocol = \"tcp\" } }\n"
        "pools = { t = { backends = [ ] }, both = { backends = [ ] }, none = { backends = [ ] }\n"
        "off = { backends = [ ], health = { type = \"none\" } } }");
    CHECK_EQ(c->listeners[0].timeouts.idle_ms, 3600000);
    CHECK_EQ(c->listeners[2].timeouts.idle_ms, 60000);
    CHECK_EQ(c->pools[0].health.type, CONF_HEALTH_TCP);
    CHECK_EQ(c->pools[1].health.type, CONF_HEALTH_HTTP);
    CHECK_EQ(c->pools[2].health.type, CONF_HEALTH_HTTP);
    CHECK_EQ(c->pools[3].health.type, CONF_HEALTH_NONE);
}

TEST(defaults_are_inherited)
{
    const struct conf *c = load_good(
        WEB "pools = { app = { backends = [ ] timeouts = { read = \"9s\" } health = { type = "
            "\"http\", path = \"/x\" } }\n"
            " other = { backends = [ ] balance = \"round_robin\" } }\n"
            "defaults = { timeouts = { connect = \"1s\", read = \"2s\", idle = \"3s\", header = "
            "\"4s\" }\n"
            " limits = { headers = 5 }, trusted = [ \"10.0.0.0/8\" ], keepalive = 6\n"
            " balance = \"least_connections\", health = { type = \"tcp\", interval = \"7s\" } }");
    CHECK_EQ(c->listeners[0].timeouts.idle_ms, 3000);
    CHECK_EQ(c->listeners[0].timeouts.header_ms, 4000);
    CHECK_EQ(c->listeners[0].timeouts.body_ms, 60000);
    CHECK_EQ(c->listeners[0].limits.headers, 5);
    CHECK_EQ(c->listeners[0].trusted_count, 1);
    CHECK_EQ(c->pools[0].timeouts.connect_ms, 1000);
    CHECK_EQ(c->pools[0].timeouts.read_ms, 9000);
    CHECK_EQ(c->pools[0].keepalive, 6);
    CHECK_STR(c->pools[0].balance, "least_connections");
    CHECK_STR(c->pools[0].health.path, "/x");
    CHECK_EQ(c->pools[0].health.type, CONF_HEALTH_HTTP);
    CHECK_EQ(c->pools[1].health.type, CONF_HEALTH_TCP);
    CHECK_EQ(c->pools[0].health.interval_ms, 7000);
    CHECK_STR(c->pools[1].balance, "round_robin");
    CHECK_STR(c->pools[1].health.path, "/health");
}

TEST(inherited_protocol)
{
    const struct conf *c =
        load_good("defaults = { protocol = \"tcp\" }\n" POOL
                  "listeners = { a = { bind = \"*:1\", pool = \"app\" }\n"
                  "b = { bind = \"*:2\", protocol = \"http\", pool = \"app\", limits = { } } }");
    CHECK_EQ(c->listeners[0].protocol, CONF_TCP);
    CHECK_EQ(c->listeners[0].timeouts.idle_ms, 3600000);
    CHECK_EQ(c->listeners[1].protocol, CONF_HTTP);
}

TEST(order_does_not_matter)
{
    const struct conf *c =
        load_good(WEB "pools = { app = { backends = [ ] } }\ndefaults = { keepalive = 1 }");
    CHECK_EQ(c->pools[0].keepalive, 1);
    CHECK_EQ(c->listeners[0].pool, 0);
}

TEST(admin_off)
{
    const struct conf *c = load_good(MINIMAL "admin = \"off\"");
    CHECK(c->admin.off);
    CHECK_EQ(c->admin.bind_count, 0);
}

TEST(everything_kept_lives_in_the_arena)
{
    const struct conf *c =
        load_good(WEB "pools = { app = { backends = [ \"127.0.0.1:1\", \"127.0.0.1:2\" ] } }");
    const struct conf_pool *p = &c->pools[0];
    const void *const kept[] = {c,
                                c->path,
                                c->user,
                                c->pid_file,
                                c->log.level,
                                c->log.target,
                                c->admin.binds,
                                c->admin.binds[0].text,
                                c->admin.binds[0].pos.file,
                                c->admin.token_file,
                                c->admin.token,
                                c->listeners,
                                c->listeners[0].name,
                                c->listeners[0].binds,
                                c->listeners[0].binds[0].text,
                                c->listeners[0].binds[0].pos.file,
                                c->listeners[0].pos.file,
                                c->pools,
                                p->name,
                                p->balance,
                                p->backends,
                                p->health.path,
                                p->health.host,
                                p->health.expect,
                                p->pos.file,
                                p->backends[1].name,
                                p->backends[1].address,
                                p->backends[1].pos.file};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        CHECK(in_arena(kept[i]));
}

TEST(ten_thousand_backends)
{
    size_t cap = 2u << 20, len = 0;
    char *text = malloc(cap);
    len += (size_t)snprintf(text, cap, WEB "pools = { app = { backends = (\n");
    for (unsigned i = 0; i < 10000; i++)
        len += (size_t)snprintf(text + len, cap - len,
                                "{ name = \"b%u\", address = \"10.0.%u.%u:80\", weight = %u },\n",
                                i, i >> 8, i & 255, i % 256);
    snprintf(text + len, cap - len, ") } }");
    const struct conf *c = load_good(text);
    CHECK_EQ(c->pools[0].backend_count, 10000);
    CHECK_STR(c->pools[0].backends[9999].name, "b9999");
    CHECK_EQ(c->pools[0].backends[9999].pos.line, 10002);
    CHECK(fixture_one.arena.used_bytes < 4u << 20);
    fixture_free(&fixture_one);
    free(text);
}
