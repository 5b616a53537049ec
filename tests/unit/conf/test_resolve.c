/* Names in a file: what may be looked up, by whom. */
#include "tests/unit/conf/conf_fixture.h"

#define WEB "listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"

static const char *bad_backend(const char *settings)
{
    static const char start[] = "t:3: error: pools.app.backends[0]";
    char text[1024];
    snprintf(text, sizeof text, WEB "pools = { app = { backends = ( {\n%s } ) } }", settings);
    const char *errors = load_bad(text);
    CHECK(strncmp(errors, start, strlen(start)) == 0);
    return errors + strlen(start);
}

TEST(names)
{
    const struct conf *c = load_good(
        WEB "resolvers = [ \"10.0.0.53\", \"127.0.0.1:5353\", \"::1\" ]\n"
            "pools = { app = { backends = ( { address = \"a.nowhere:80\", resolve = \"10s\" },\n"
            "{ resolve = \"1s\", address = \"srv:_http._tcp.x\" },\n"
            "{ address = \"b.test:80\", resolve = \"0s\" } ) } }");
    const struct conf_backend *b = c->pools[0].backends;
    CHECK_EQ(b[0].resolve_ms, 10000);
    CHECK_EQ(b[0].addr.u.sa.sa_family, AF_UNSPEC);
    CHECK_STR(b[0].name, "a.nowhere:80");
    CHECK_STR(b[1].address, "srv:_http._tcp.x");
    CHECK_EQ(b[2].resolve_ms, 0);
    CHECK_EQ(b[2].addr.u.sa.sa_family, AF_INET);
    CHECK_EQ(c->resolver_count, 3);
    CHECK_STR(c->resolvers[0].text, "10.0.0.53:53");
    CHECK_STR(c->resolvers[1].text, "127.0.0.1:5353");
    CHECK_STR(c->resolvers[2].text, "[::1]:53");
}

TEST(bad_names)
{
    CHECK_STR(bad_backend("address = \"10.0.0.1:80\", resolve = \"10s\""),
              ".address: \"10.0.0.1:80\" is no name: \"resolve\" means nothing for it\n");
    CHECK_STR(bad_backend("address = \"unix:/x\", resolve = \"10s\""),
              ".address: \"unix:/x\" is no name: \"resolve\" means nothing for it\n");
    CHECK_STR(bad_backend("address = \"a.test\", resolve = \"10s\""),
              ".address: \"a.test\" is no name and port such as \"api.internal:8080\"\n");
    CHECK_STR(bad_backend("address = \"a..test:80\", resolve = \"10s\""),
              ".address: \"a..test:80\" is no name and port such as \"api.internal:8080\"\n");
    CHECK_STR(bad_backend("address = \"a b:99999\", resolve = \"10s\""),
              ".address: \"a b:99999\" is no name and port such as \"api.internal:8080\"\n");
    CHECK_STR(bad_backend("address = \"srv:\", resolve = \"10s\""),
              ".address: \"srv:\" is no service such as \"srv:_http._tcp.name\"\n");
    CHECK_STR(bad_backend("address = \"srv:_http._tcp.x\""),
              ".address: \"srv:_http._tcp.x\" needs \"resolve\", such as resolve = \"10s\"\n");
    CHECK_STR(bad_backend("address = \"a.test:80\", resolve = 10"),
              ".resolve: 10 needs a unit, such as \"10s\" or \"10ms\"\n");
}

TEST(bad_resolvers)
{
    static const char wanted[] =
        "wants the address of a name server such as \"10.0.0.1\" or \"[::1]:5353\", found ";
    char line[256];
    snprintf(line, sizeof line, "t:3: error: resolvers[0]: %s\"dns.test\"\n", wanted);
    CHECK_STR(bad_top("resolvers = [ \"dns.test\" ]"), line);
    snprintf(line, sizeof line, "t:3: error: resolvers: %s5\n", wanted);
    CHECK_STR(bad_top("resolvers = 5"), line);
    snprintf(line, sizeof line, "t:3: error: resolvers: %s\"0.0.0.0\"\n", wanted);
    CHECK_STR(bad_top("resolvers = \"0.0.0.0\""), line);
}
