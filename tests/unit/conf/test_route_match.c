/* Which route a request takes: the compiled tables against a matcher that looks at every route. */
#include "base/http1.h"
#include "conf/route_match.h"
#include "tests/unit/conf/conf_fixture.h"

static char scratch[3 * 4096];
static const struct http1_limits limits = {4096, 64};

static int decide(const struct conf *c, const struct route_request *q, struct route_match *m)
{
    switch (route_match(c->listeners[0].routes, q, m)) {
    case ROUTE_FOUND: return (int)m->route->index;
    case ROUTE_NONE: return -1;
    default: return -2;
    }
}

/* The index of the route that a request takes; -1 none, -2 refused. A host that is known already
 * leads to the same. */
static int ask(const struct conf *c, const struct regex_set *regexes, const char *request,
               struct route_match *m)
{
    static struct http1_head h;
    http1_head_reset(&h);
    CHECK_EQ(http1_parse_request(&h, request, (uint32_t)strlen(request), &limits), HTTP1_DONE);
    struct route_memo memo = {0};
    struct route_request q = {&h, request, NULL, regexes, scratch, NULL};
    int decided = decide(c, &q, m);
    q.memo = &memo;
    CHECK_EQ(decide(c, &q, m), decided);
    CHECK_EQ(decide(c, &q, m), decided);
    return decided;
}

static int ask_path(const struct conf *c, const char *host, const char *path)
{
    char request[2048];
    struct route_match m;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
    return ask(c, NULL, request, &m);
}

static const struct conf *load_routes(const char *routes)
{
    static char text[1 << 16];
    snprintf(text, sizeof text,
             "pools = { p = { backends = [ ] } }\nlisteners = { w = { bind = \"*:1\", routes = "
             "(\n%s) } }",
             routes);
    return load_good(text);
}

TEST(specific_before_general)
{
    const struct conf *c = load_routes(
        "{ pool = \"p\" }, { path = \"/a\", pool = \"p\" }, { path = \"=/a\", pool = \"p\" },\n"
        "{ host = \"*.test\", pool = \"p\" }, { host = \"*.x.test\", pool = \"p\" },\n"
        "{ host = \"y.x.test\", path = \"/b/\", pool = \"p\" }, { path = \"/a/*/z\", pool = \"p\" "
        "}");
    CHECK_EQ(ask_path(c, "h", "/"), 0);
    CHECK_EQ(ask_path(c, "h", "/a"), 2);
    CHECK_EQ(ask_path(c, "h", "/a/"), 1);
    CHECK_EQ(ask_path(c, "h", "/ab"), 0);
    CHECK_EQ(ask_path(c, "h", "/a/1/2/z"), 6);
    CHECK_EQ(ask_path(c, "test", "/"), 0);
    CHECK_EQ(ask_path(c, "q.test", "/a"), 3);
    CHECK_EQ(ask_path(c, "q.x.test", "/a"), 4);
    CHECK_EQ(ask_path(c, "Y.X.Test.:99", "/b/1"), 5);
    CHECK_EQ(ask_path(c, "y.x.test", "/c"), 4);
    CHECK_EQ(ask_path(c, "[::1]:80", "/"), 0);
}

TEST(captures)
{
    const struct conf *c = load_routes("{ path_regex = \"^/u/([^/]+)(/x)?/(.*)$\", pool = \"p\" }");
    struct regex_set *regexes = regex_set_new(c);
    struct route_match m;
    CHECK_EQ(ask(c, regexes, "GET /u/a%2Fb/c HTTP/1.1\r\nHost: h\r\n\r\n", &m), 0);
    CHECK_EQ(m.captures[1].len, 3u); /* an escaped slash separates nothing */
    CHECK_EQ(ask(c, regexes, "GET /u/ab/c%20d HTTP/1.1\r\nHost: h\r\n\r\n", &m), 0);
    CHECK_EQ(m.capture_count, 4u);
    CHECK_EQ(m.captures[1].len, 2u);
    CHECK_EQ(m.captures[2].len, 0u);
    CHECK(m.captures[3].len == 3 && memcmp(m.path.literal + m.captures[3].off, "c d", 3) == 0);
    regex_set_free(regexes);
}

/* ---- against every route in turn ---- */

static uint64_t seed;

static unsigned draw(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((seed >> 33) % n);
}

#define ROUTES 40u

static void make_path(char *out, size_t cap, bool pattern)
{
    static const char *const parts[] = {"a", "b", "ab", "abc", "c"};
    size_t len = 0;
    unsigned n = draw(4);
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, cap - len, "/%s",
                                pattern && draw(6) == 0 ? (draw(2) ? "*" : "a*") : parts[draw(5)]);
    if (n == 0 || draw(3) == 0)
        snprintf(out + len, cap - len, "/");
}

static const char *make_host(bool pattern)
{
    static const char *const names[] = {"x", "a.x", "b.a.x", "y.test", "*.x", "*.a.x", "*.test"};
    return names[draw(pattern ? 7 : 4)];
}

static void make_routes(char *out, size_t cap)
{
    size_t len = 0;
    char path[128];
    for (unsigned i = 0; i < ROUTES; i++) {
        make_path(path, sizeof path, true);
        bool exact = draw(5) == 0 && !strchr(path, '*');
        len += (size_t)snprintf(out + len, cap - len, "{ respond = 200, query = \"n%u\", ", i);
        if (draw(2))
            len += (size_t)snprintf(out + len, cap - len, "host = \"%s\", ", make_host(true));
        if (draw(5))
            len +=
                (size_t)snprintf(out + len, cap - len, "path = \"%s%s\", ", exact ? "=" : "", path);
        if (draw(4) == 0)
            len += (size_t)snprintf(out + len, cap - len, "priority = %u, ", draw(3));
        len += (size_t)snprintf(out + len, cap - len, "},\n");
    }
}

static bool naive_glob(const char *g, const char *s)
{
    if (*g == '*')
        return naive_glob(g + 1, s) || (*s && naive_glob(g, s + 1));
    return *g == *s && (!*g || naive_glob(g + 1, s + 1));
}

static bool naive_path(const char *pattern, const char *path)
{
    size_t len = strlen(pattern);
    if (*pattern == '=')
        return strcmp(pattern + 1, path) == 0;
    if (strchr(pattern, '*'))
        return naive_glob(pattern, path);
    return strncmp(pattern, path, len) == 0 &&
           (pattern[len - 1] == '/' || !path[len] || path[len] == '/');
}

static bool naive_host(const char *pattern, const char *host)
{
    size_t a = strlen(pattern), b = strlen(host);
    if (*pattern != '*')
        return strcmp(pattern, host) == 0;
    return b > a - 1 && strcmp(host + b - (a - 1), pattern + 1) == 0;
}

/* How specific, as docs/routing.md says; higher comes first. */
static long naive_score(const struct conf_route *r)
{
    const char *host = r->match.host_count ? r->match.hosts[0] : NULL;
    const char *path = r->match.path_count ? r->match.paths[0] : NULL;
    long score = (long)r->priority * 1000000000000;
    if (host)
        score += (*host == '*' ? 1 : 1000) * 100000 + (long)strlen(host) * 100000;
    if (path && *path == '=')
        score += 50000 + (long)strlen(path + 1) * 10;
    else if (path && strcmp(path, "/") != 0 && strcmp(path, "/*") != 0)
        for (const char *c = path; *c; c++)
            score += *c == '*' ? 0 : 10;
    return score;
}

static int naive(const struct conf *c, const char *host, const char *path, uint64_t asked)
{
    const struct conf_routes *routes = c->listeners[0].routes;
    int best = -1;
    for (uint32_t i = 0; i < routes->count; i++) {
        const struct conf_route *r = &routes->items[i];
        bool fits = asked >> i & 1 &&
                    (!r->match.host_count || naive_host(r->match.hosts[0], host)) &&
                    (!r->match.path_count || naive_path(r->match.paths[0], path));
        if (fits && (best == -1 || naive_score(r) > naive_score(&routes->items[best])))
            best = (int)i;
    }
    return best;
}

/* Each route also wants a parameter of its own, so that none is unreachable and any may be left out
 * of a request. */
TEST(as_a_naive_matcher_says)
{
    static char routes[1 << 15], query[1024], request[2048];
    struct route_match m;
    for (seed = 1; seed < 60; seed++) {
        uint64_t round = seed;
        make_routes(routes, sizeof routes);
        const struct conf *c = load_routes(routes);
        for (unsigned i = 0; i < 300; i++) {
            char path[128];
            const char *host = make_host(false);
            make_path(path, sizeof path, false);
            uint64_t asked = 0;
            size_t len = 0;
            *query = '\0';
            for (unsigned n = 0; n < ROUTES; n++) {
                if (draw(3) == 0)
                    continue;
                asked |= 1ull << n;
                len += (size_t)snprintf(query + len, sizeof query - len, "&n%u", n);
            }
            snprintf(request, sizeof request, "GET %s?%s HTTP/1.1\r\nHost: %s\r\n\r\n", path, query,
                     host);
            int found = ask(c, NULL, request, &m), wanted = naive(c, host, path, asked);
            if (found != wanted)
                fprintf(stderr, "%sroute %d instead of %d\n%s", request, found, wanted, routes);
            CHECK_EQ(found, wanted);
        }
        seed = round;
    }
}

TEST(spelling_leads_nowhere_else)
{
    const struct conf *c = load_routes("{ path = \"/private\", respond = 403 }, { path = "
                                       "\"/public/\", pool = \"p\" }, { pool = \"p\" }");
    static const char *const evil[] = {
        "/./private",           "/public/../private",    "//private",
        "/private;x",           "/private%2fx",          "/x/..;/private",
        "/%2e/private",         "/public/..%2fprivate",  "/private%5cx",
        "/public%2f../private", "/public/%2e%2e/private"};
    for (size_t i = 0; i < ARRAY_LEN(evil); i++) {
        int found = ask_path(c, "h", evil[i]);
        if (found != -2 && found != 0)
            fprintf(stderr, "%s went to route %d\n", evil[i], found);
        CHECK(found == -2 || found == 0);
    }
    CHECK_EQ(ask_path(c, "h", "/public/a;b/%2Fc//d"), 1);
}

/* Names of as many labels as there is room for, of wildcards and of who asks. */
TEST(hosts_of_many_labels)
{
    char name[256] = "", routes[1024], host[280];
    for (int i = 0; i < 70; i++)
        strcat(name, i ? ".a" : "a");
    snprintf(routes, sizeof routes,
             "{ pool = \"p\" }, { host = \"*.%s\", pool = \"p\" }, { host = \"*.b.%s\", pool = "
             "\"p\" }, { host = \"*.a.a\", pool = \"p\" }",
             name, name);
    const struct conf *c = load_routes(routes);
    CHECK_EQ(ask_path(c, name, "/"), 3);
    snprintf(host, sizeof host, "x.%s", name);
    CHECK_EQ(ask_path(c, host, "/"), 1);
    snprintf(host, sizeof host, "a.a.a.%s", name);
    CHECK_EQ(ask_path(c, host, "/"), 1);
    snprintf(host, sizeof host, "x.b.%s", name);
    CHECK_EQ(ask_path(c, host, "/"), 2);
    CHECK_EQ(ask_path(c, "a.a.a", "/"), 3);
    CHECK_EQ(ask_path(c, "a.a", "/"), 0);
    CHECK_EQ(ask_path(c, "A.b.a", "/"), 0);
    for (unsigned len = 1; len < 256; len++) {
        memset(host, 'a', len);
        for (unsigned i = 1; i < len; i += 2)
            host[i] = '.';
        host[len] = '\0';
        ask_path(c, host, "/");
    }
}

/* Many more hosts than are remembered, of two listeners, again and again. */
TEST(what_is_remembered_of_hosts_is_of_these_routes_and_this_host)
{
    static struct route_memo memo;
    const struct conf *one =
        load_routes("{ host = \"*.a.test\", pool = \"p\" }, { host = \"7.a.test\", "
                    "pool = \"p\" }, { host = \"b\", pool = \"p\" }");
    for (unsigned i = 0; i < 3000; i++) {
        static const char *const ends[] = {".a.test", ".A.test:80", ".b.test", "a.test", ""};
        char request[256];
        struct http1_head h;
        struct route_match m;
        http1_head_reset(&h);
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s%u%s\r\n\r\n",
                 i % 11 == 0 ? "a-name-of-many-more-characters-than-are-kept-of-any-" : "", i % 37,
                 ends[i % ARRAY_LEN(ends)]);
        CHECK_EQ(http1_parse_request(&h, request, (uint32_t)strlen(request), &limits), HTTP1_DONE);
        struct route_request q = {&h, request, NULL, NULL, scratch, NULL};
        int decided = decide(one, &q, &m);
        CHECK_EQ(decided, i % ARRAY_LEN(ends) > 1 ? -1 : i % 11 && i % 37 == 7 ? 1 : 0);
        q.memo = &memo;
        CHECK_EQ(decide(one, &q, &m), decided);
    }
}
