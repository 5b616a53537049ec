/* Bad values: the exact message, with its line. */
#include "tests/unit/conf/conf_fixture.h"

TEST(unknown_settings)
{
    CHECK_STR(
        bad_top("max_connection = 5"),
        "t:3: error: unknown setting \"max_connection\", did you mean \"max_connections\"?\n");
    CHECK_STR(bad_top("maxconn = 5"),
              "t:3: error: unknown setting \"maxconn\", did you mean \"max_connections\"?\n");
    CHECK_STR(bad_top("upstreams = { }"),
              "t:3: error: unknown setting \"upstreams\", did you mean \"pools\"?\n");
    CHECK_STR(bad_top("colour = 5"), "t:3: error: unknown setting \"colour\"\n");
    CHECK_STR(bad_top("balance = 5"),
              "t:3: error: unknown setting \"balance\"; it belongs in pools.*\n");
    CHECK_STR(bad_listener("timeouts = { connect = \"1s\" }"),
              "t:3: error: listeners.web.timeouts: unknown setting \"connect\"; it belongs in "
              "pools.*.timeouts\n");
    CHECK_STR(bad_pool("helth = { }"),
              "t:3: error: pools.app: unknown setting \"helth\", did you mean \"health\"?\n");
    CHECK_STR(bad_pool("health = { rise = 2 }"), "t:3: error: pools.app.health: unknown setting "
                                                 "\"rise\", did you mean \"healthy_threshold\"?\n");
    CHECK_STR(bad_pool("servers = [ ]"),
              "t:3: error: pools.app: unknown setting \"servers\", did you mean \"backends\"?\n");
    CHECK_STR(load_bad("listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
                       "pools = { app = { backends = ( \"127.0.0.1:1\",\n"
                       "{ address = \"127.0.0.1:2\", wieght = 5 } ) } }"),
              "t:3: error: pools.app.backends[1]: unknown setting \"wieght\", did you mean "
              "\"weight\"?\n");
}

TEST(missing)
{
    CHECK_STR(load_bad(""), "t:1: error: \"listeners\" is missing\n");
    CHECK_STR(load_bad("workers = 1"), "t:1: error: \"listeners\" is missing\n");
    CHECK_STR(load_bad("listeners = { }"),
              "t:1: error: listeners: is empty: nothing would be served\n");
    CHECK_STR(load_bad("listeners = { web = { } }"),
              "t:1: error: listeners.web: \"bind\" is missing\n"
              "t:1: error: listeners.web: \"pool\" is missing\n");
    CHECK_STR(
        load_bad("listeners = { a = { bind = \"*:80\", pool = \"app\" } }\npools = { app = { } }"),
        "t:2: error: pools.app: \"backends\" is missing\n");
}

TEST(wrong_kinds)
{
    CHECK_STR(bad_top("workers = \"many\""),
              "t:3: error: workers: wants a whole number or \"auto\", found \"many\"\n");
    CHECK_STR(bad_top("workers = true"),
              "t:3: error: workers: wants a whole number or \"auto\", found true\n");
    CHECK_STR(bad_top("max_connections = \"5\""),
              "t:3: error: max_connections: wants a whole number, found \"5\"\n");
    CHECK_STR(bad_top("max_connections = 1.5"),
              "t:3: error: max_connections: wants a whole number, found a fraction\n");
    CHECK_STR(bad_top("user = [ \"a\" ]"),
              "t:3: error: user: wants a string, found an array [ ]\n");
    CHECK_STR(bad_top("user = ( )"), "t:3: error: user: wants a string, found a list ( )\n");
    CHECK_STR(bad_top("user = { }"), "t:3: error: user: wants a string, found a group { }\n");
    CHECK_STR(bad_top("log = \"debug\""), "t:3: error: log: wants a group { }, found \"debug\"\n");
    CHECK_STR(bad_top("admin = \"on\""),
              "t:3: error: admin: wants a group { } or \"off\", found \"on\"\n");
    CHECK_STR(bad_top("defaults = 5"), "t:3: error: defaults: wants a group { }, found 5\n");
    CHECK_STR(load_bad("listeners = [ ]\npools = 5"),
              "t:1: error: listeners: wants a group { } of groups by name, found an array [ ]\n"
              "t:2: error: pools: wants a group { } of groups by name, found 5\n");
    CHECK_STR(load_bad("listeners = { web = 5 }"),
              "t:1: error: listeners.web: wants a group { }, found 5\n");
    CHECK_STR(bad_listener("protocol = 5"),
              "t:3: error: listeners.web.protocol: wants one of: http, tcp, udp, found 5\n");
    CHECK_STR(bad_pool("health = { expect = 200 }"),
              "t:3: error: pools.app.health.expect: wants statuses such as \"200\", \"200-299\" or "
              "\"200,204\", found 200\n");
}

TEST(ranges)
{
    CHECK_STR(bad_top("workers = 0"), "t:3: error: workers: 0 is out of range: 1 to 56\n");
    CHECK_STR(bad_top("workers = 57"), "t:3: error: workers: 57 is out of range: 1 to 56\n");
    CHECK_STR(bad_pool("health = { port = 65536 }"),
              "t:3: error: pools.app.health.port: 65536 is out of range: 0 to 65535\n");
    CHECK_STR(bad_listener("limits = { headers = 257 }"),
              "t:3: error: listeners.web.limits.headers: 257 is out of range: 1 to 256\n");
    CHECK_STR(bad_listener("limits = { header_size = \"1g\" }"),
              "t:3: error: listeners.web.limits.header_size: \"1g\" is out of range: \"1k\" to "
              "\"64k\"\n");
    CHECK_STR(
        bad_listener("timeouts = { header = \"0s\" }"),
        "t:3: error: listeners.web.timeouts.header: \"0s\" is out of range: \"1ms\" to \"24d\"\n");
    CHECK_STR(bad_pool("timeouts = { read = \"99999999999d\" }"),
              "t:3: error: pools.app.timeouts.read: \"99999999999d\" is out of range: \"1ms\" to "
              "\"24d\"\n");
}

TEST(units)
{
    CHECK_STR(bad_top("drain_timeout = 30"),
              "t:3: error: drain_timeout: 30 needs a unit, such as \"30s\" or \"30ms\"\n");
    CHECK_STR(bad_top("drain_timeout = \"30\""),
              "t:3: error: drain_timeout: 30 needs a unit, such as \"30s\" or \"30ms\"\n");
    CHECK_STR(
        bad_listener("limits = { body_size = 0 }"),
        "t:3: error: listeners.web.limits.body_size: 0 needs a unit, such as \"0k\" or \"0m\"\n");
    CHECK_STR(
        bad_top("drain_timeout = \"1.5s\""),
        "t:3: error: drain_timeout: wants a duration such as \"200ms\", \"5s\", \"10m\" or \"1h\", "
        "found \"1.5s\"\n");
    CHECK_STR(bad_listener("limits = { body_size = \"50mb\" }"),
              "t:3: error: listeners.web.limits.body_size: wants a size such as \"512b\", \"64k\", "
              "\"50m\" or \"1g\", found \"50mb\"\n");
}

#define ALGORITHMS                                                                                 \
    "least_connections, weighted_least_connections, least_response_time, fastest_response, "       \
    "random, power_of_two, first, ip_hash, "                                                       \
    "url_hash, consistent_hash, maglev"

TEST(max_load_and_slow_start)
{
    CHECK_STR(bad_pool("balance = \"maglev\", max_load = 1.0"),
              "t:3: error: pools.app.max_load: is out of range: 1.001 to 100, or 0\n");
    CHECK_STR(bad_pool("balance = \"maglev\", max_load = -1"),
              "t:3: error: pools.app.max_load: is out of range: 1.001 to 100, or 0\n");
    CHECK_STR(bad_pool("balance = \"maglev\", max_load = 2147483647"),
              "t:3: error: pools.app.max_load: is out of range: 1.001 to 100, or 0\n");
    CHECK_STR(bad_pool("balance = \"maglev\", max_load = \"125%\""),
              "t:3: error: pools.app.max_load: wants a number such as 1.25, found \"125%\"\n");
    CHECK_STR(bad_pool("max_load = 1.25"),
              "t:2: error: pools.app: \"max_load\" bounds what a hash algorithm does, and balance "
              "is \"round_robin\"\n");
    CHECK_STR(bad_pool("slow_start = 30"),
              "t:3: error: pools.app.slow_start: 30 needs a unit, such as \"30s\" or \"30ms\"\n");
    CHECK_STR(bad_pool("balance = \"ip_hash\", slow_start = \"30s\""),
              "t:2: error: pools.app: \"slow_start\" means nothing to balance = \"ip_hash\": use "
              "weighted_round_robin, random, power_of_two or one that goes by load\n");
    CHECK_STR(bad_top("defaults = { max_load = 1.25 }"),
              "t:3: error: defaults: \"max_load\" cannot be inherited: set it where it belongs\n");
}

TEST(names_out_of_a_list)
{
    CHECK_STR(bad_pool("balance = \"leastconn\""),
              "t:3: error: pools.app.balance: \"leastconn\" is not one of: round_robin, "
              "weighted_round_robin, " ALGORITHMS "; did you mean \"least_connections\"?\n");
    CHECK_STR(
        bad_pool("hash_key = \"header:\""),
        "t:3: error: pools.app.hash_key: \"header:\" is not one of: client_ip, uri, path, host, "
        "header:NAME, cookie:NAME\n");
    CHECK_STR(bad_pool("hash_key = \"cookie:a b\""),
              "t:3: error: pools.app.hash_key: \"cookie:a b\" is not one of: client_ip, uri, path, "
              "host, header:NAME, cookie:NAME\n");
    CHECK_STR(bad_pool("balance = \"magic\""),
              "t:3: error: pools.app.balance: \"magic\" is not one of: round_robin, "
              "weighted_round_robin, " ALGORITHMS "\n");
    CHECK_STR(
        bad_top("log = { level = \"inof\" }"),
        "t:3: error: log.level: \"inof\" is not one of: error, warning, info, debug; did you mean "
        "\"info\"?\n");
    CHECK_STR(bad_top("log = { target = \"stdrr\" }"),
              "t:3: error: log.target: \"stdrr\" is not stderr, syslog or a path, did you mean "
              "\"stderr\"?\n");
}

TEST(pools)
{
    CHECK_STR(load_bad("listeners = { web = { bind = \"*:80\", pool = \"ap\" } }\n"
                       "pools = { app = { backends = [ ] } }"),
              "t:1: error: listeners.web.pool: there is no pool \"ap\", did you mean \"app\"?\n");
    CHECK_STR(load_bad("listeners = { web = { bind = \"*:80\", pool = \"xyz\" } }"),
              "t:1: error: listeners.web.pool: there is no pool \"xyz\"\n");
    CHECK_STR(load_bad("listeners = { web = { bind = \"*:80\", pool = 5 } }"),
              "t:1: error: listeners.web.pool: wants the name of a pool, found 5\n");
}

#define LONG_NAME "a123456789012345678901234567890123456789012345678901234567890123" /* 64 */

TEST(backends)
{
    CHECK_STR(
        load_bad("listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
                 "pools = { app = { backends = [\n\"127.0.0.1:1\",\n\"127.0.0.1\",\n\"x:1\",\n"
                 "\"*:80\",\n\"127.0.0.1:99999\",\n\"srv:_http._tcp.x\",\n\"127.0.0.1:1\"\n] } }"),
        "t:4: error: pools.app.backends[1]: \"127.0.0.1\": no such host\n"
        "t:5: error: pools.app.backends[2]: \"x:1\": no such host\n"
        "t:6: error: pools.app.backends[3]: \"*:80\" names no host to connect to\n"
        "t:7: error: pools.app.backends[4]: \"127.0.0.1:99999\": no such host\n"
        "t:8: error: pools.app.backends[5]: \"srv:_http._tcp.x\" needs \"resolve\", such as "
        "resolve = \"10s\"\n"
        "t:9: error: pools.app.backends[6]: there is a backend \"127.0.0.1:1\" already, at t:3\n");
    CHECK_STR(
        load_bad("listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
                 "pools = { app = { backends = (\n{ name = \"a\", address = \"127.0.0.1:1\" },\n"
                 "{ name = \"a\", address = \"127.0.0.1:2\" },\n{ name = \"b\" },\n"
                 "{ name = \"\", address = \"127.0.0.1:3\" },\n"
                 "{ name = \"a b\", address = \"127.0.0.1:4\" },\n"
                 "{ name = \"" LONG_NAME "\", address = \"127.0.0.1:5\" },\n"
                 "{ address = \"" LONG_NAME ".test:1\" },\n"
                 "5 ) } }"),
        "t:4: error: pools.app.backends[1]: there is a backend \"a\" already, at t:3\n"
        "t:5: error: pools.app.backends[2]: \"address\" is missing\n"
        "t:6: error: pools.app.backends[3].name: cannot be empty\n"
        "t:7: error: pools.app.backends[4].name: \"a b\" cannot be a name: visible ASCII "
        "characters but \" \\ ? # % &\n"
        "t:8: error: pools.app.backends[5].name: is longer than 63 bytes\n"
        "t:9: error: pools.app.backends[6]: needs a \"name\": the address is longer than 63 bytes\n"
        "t:10: error: pools.app.backends[7]: wants a group { }, found 5\n");
    /* the same name in another pool is another backend */
    load_good("listeners = { web = { bind = \"*:80\", pool = \"a\" } }\n"
              "pools = { a = { backends = [ \"127.0.0.1:1\" ] }, b = { backends = [ "
              "\"127.0.0.1:1\" ] } }");
}

TEST(long_names)
{
    CHECK_STR(load_bad("listeners = { " LONG_NAME " = { bind = \"*:80\", pool = \"" LONG_NAME
                       "\" } }\n"
                       "pools = { " LONG_NAME " = { backends = [ ] } }"),
              "t:1: error: listeners." LONG_NAME ": the name is longer than 63 bytes\n"
              "t:2: error: pools." LONG_NAME ": the name is longer than 63 bytes\n");
}

TEST(health)
{
    static const char *const bad[] = {"",        "abc",      "99",   "600", "200-",
                                      "200-199", "200,",     ",200", "20",  "2000",
                                      "200 204", "200--204", "-200"};
    char setting[96], wanted[256];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(setting, sizeof setting, "health = { expect = \"%s\" }", bad[i]);
        snprintf(
            wanted, sizeof wanted,
            "t:3: error: pools.app.health.expect: wants statuses such as \"200\", \"200-299\" or "
            "\"200,204\", found \"%s\"\n",
            bad[i]);
        CHECK_STR(bad_pool(setting), wanted);
    }
    CHECK_STR(bad_pool("health = { expect = [ ] }"),
              "t:3: error: pools.app.health.expect: is empty\n");
    CHECK_STR(bad_pool("health = { path = \"x\" }"),
              "t:3: error: pools.app.health.path: \"x\" does not begin with /\n");
    CHECK_STR(bad_pool("health = { path = \"/a b\" }"),
              "t:3: error: pools.app.health.path: \"/a b\" has characters that a path must "
              "percent-encode\n");
    CHECK_STR(bad_pool("health = { path = \"/a\\r\\nX: y\" }"),
              "t:3: error: pools.app.health.path: has a control character (0x0d) in it\n");
    CHECK_STR(bad_pool("health = { host = \"a b\" }"),
              "t:3: error: pools.app.health.host: \"a b\" is not a host name\n");
    CHECK_STR(
        load_bad("listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
                 "pools = { app = { health = { port = 5 }\nbackends = [ \"unix:/run/x\" ] } }"),
        "t:3: error: pools.app: \"unix:/run/x\" is a unix socket, and health.port is set\n");
}

TEST(defaults_block)
{
    CHECK_STR(bad_top("defaults = { pool = \"app\" }"),
              "t:3: error: defaults: \"pool\" cannot be inherited: set it where it belongs\n");
    CHECK_STR(bad_top("defaults = { backends = [ ]\nbind = \"*:1\" }"),
              "t:3: error: defaults: \"backends\" cannot be inherited: set it where it belongs\n"
              "t:4: error: defaults: \"bind\" cannot be inherited: set it where it belongs\n");
    CHECK_STR(
        bad_top("defaults = { timeouts = { conect = \"1s\" } }"),
        "t:3: error: defaults.timeouts: unknown setting \"conect\", did you mean \"connect\"?\n");
    CHECK_STR(bad_top("defaults = { keepalive = 1, timeouts = 5 }"),
              "t:3: error: defaults.timeouts: wants a group { }, found 5\n");
}

TEST(http_settings_of_a_tcp_listener)
{
    CHECK_STR(
        bad_listener("protocol = \"tcp\"\nlimits = { headers = 1 }\ntrusted = [ ]\ntimeouts = { "
                     "header = \"1s\" }"),
        "t:4: error: listeners.web.limits: \"headers\" means nothing with protocol = \"tcp\"\n"
        "t:5: error: listeners.web: \"trusted\" means nothing with protocol = \"tcp\" without "
        "proxy_protocol\n"
        "t:6: error: listeners.web.timeouts: \"header\" means nothing with protocol = \"tcp\" "
        "without proxy_protocol or sni\n");
}

TEST(networks)
{
    CHECK_STR(
        bad_listener("trusted = [ \"10.0.0.0/8\",\n\"10.0.0.0/33\",\n\"x\" ]"),
        "t:4: error: listeners.web.trusted[1]: \"10.0.0.0/33\" is not a network such as "
        "\"10.0.0.0/8\" or \"fd00::/8\"\n"
        "t:5: error: listeners.web.trusted[2]: \"x\" is not a network such as \"10.0.0.0/8\" or "
        "\"fd00::/8\"\n");
    CHECK_STR(
        bad_listener("trusted = ( 5 )"),
        "t:3: error: listeners.web.trusted[0]: wants a network such as \"10.0.0.0/8\", found 5\n");
}

TEST(user)
{
    CHECK_STR(load_good(MINIMAL)->user, "nobody"); /* the default does not exist */
    CHECK_STR(bad_top("user = \"no-such-user\""),
              "t:3: error: user: there is no user \"no-such-user\"\n");
    CHECK_STR(load_good(MINIMAL "user = \"nobody\"")->user, "nobody");
    CHECK_STR(bad_top("user = \"\""), "t:3: error: user: cannot be empty\n");
}

TEST(table_group)
{
    CHECK_STR(load_good(MINIMAL)->table_group, "");
    CHECK_STR(load_good(MINIMAL "table_group = \"root\"")->table_group, "root");
    CHECK_STR(bad_top("table_group = \"no-such-group\""),
              "t:3: error: table_group: there is no group \"no-such-group\"\n");
    CHECK_STR(bad_top("table_group = 4"), "t:3: error: table_group: wants a string, found 4\n");
}

TEST(errors_are_counted_and_kept)
{
    load_bad("x = 1\ny = 2\nlisteners = { }");
    CHECK_EQ(fixture_one.errors.count, 3);
    CHECK_EQ(fixture_one.errors.first->pos.line, 1);
    CHECK_EQ(fixture_one.errors.last->pos.line, 3);
    CHECK(fixture_one.errors.last->next == NULL);
}

TEST(every_truncation_is_an_error_or_a_configuration)
{
    static const char text[] =
        "/* c */ workers = 2; # x\nadmin = { bind = [ \"127.0.0.1:1\" ] }\n"
        "listeners = { web = { bind = \"*:80\", pool = \"app\", trusted = [ \"10.0.0.0/8\", ] } }\n"
        "pools = { app = { backends = ( { address = \"127.0.0.1:1\", weight = 5, backup = true }, "
        ") } }";
    char cut[sizeof text];
    for (size_t len = 0; len < sizeof text; len++) {
        struct fixture *f = &fixture_one;
        memcpy(cut, text, len);
        cut[len] = '\0';
        fixture_init(f);
        const struct conf *c = conf_load_text(cut, "t", &f->arena, &f->errors);
        CHECK_EQ(c == NULL, f->errors.count > 0);
        CHECK_EQ(c != NULL, len == sizeof text - 1);
    }
}

TEST(an_error_is_one_line)
{
    CHECK_STR(bad_pool("balance = \"a\\nb\\x1b[31m\""),
              "t:3: error: pools.app.balance: \"a?b?[31m\" is not one of: round_robin, "
              "weighted_round_robin, " ALGORITHMS "\n");
}

TEST(policies)
{
    CHECK_STR(bad_pool("retry = { on = [ \"connect\", \"5x3\" ] }"),
              "t:3: error: pools.app.retry.on[1]: wants \"connect\", \"reset\", \"timeout\", or "
              "statuses such as \"503\" and \"500-504\", found \"5x3\"\n");
    CHECK_STR(bad_pool("retry = { on = \"504-500\" }"),
              "t:3: error: pools.app.retry.on: wants \"connect\", \"reset\", \"timeout\", or "
              "statuses such as \"503\" and \"500-504\", found \"504-500\"\n");
    CHECK_STR(bad_pool("retry = { budget = 20 }"),
              "t:3: error: pools.app.retry.budget: 20 needs its unit: \"20%\"\n");
    CHECK_STR(bad_pool("retry = { budget = \"120%\" }"),
              "t:3: error: pools.app.retry.budget: \"120%\" is out of range: \"0%\" to \"100%\"\n");
    CHECK_STR(bad_pool("retry = { attempts = 0 }"),
              "t:3: error: pools.app.retry.attempts: 0 is out of range: 1 to 16\n");
    CHECK_STR(
        bad_pool("circuit_breaker = { failure_treshold = 5 }"),
        "t:3: error: pools.app.circuit_breaker: unknown setting \"failure_treshold\", did you "
        "mean \"failure_threshold\"?\n");
    CHECK_STR(bad_pool("circuit_breaker = true"),
              "t:3: error: pools.app.circuit_breaker: wants a group { }, found true\n");
    CHECK_STR(bad_pool("queue = { timeout = 5 }"),
              "t:3: error: pools.app.queue.timeout: 5 needs a unit, such as \"5s\" or \"5ms\"\n");
    CHECK_STR(bad_pool("all_down = \"panic\""),
              "t:3: error: pools.app.all_down: \"panic\" is not one of: fail, try\n");
}
