/* What routes refuse: the exact message, with its line. */
#include "tests/unit/conf/conf_fixture.h"

/* The errors of a listener with these routes, which begin on line 3. */
static const char *bad_routes(const char *routes)
{
    char text[4096];
    snprintf(text, sizeof text,
             "pools = { app = { backends = [ ] } }, conditions = { get = { methods = \"GET\" } }\n"
             "listeners = { web = { bind = \"*:80\", routes = (\n%s\n) } }",
             routes);
    return load_bad(text);
}

#define AT0 "t:3: error: listeners.web.routes[0]"

TEST(actions)
{
    CHECK_STR(bad_routes("{ path = \"/\" }"),
              AT0 ": one of \"pool\", \"split\", \"redirect\" and \"respond\" is missing\n");
    CHECK_STR(bad_routes("{ pool = \"app\",\nrespond = 403 }"),
              "t:4: error: listeners.web.routes[0]: has both \"pool\" and \"respond\": keep one\n");
    CHECK_STR(bad_routes("{ pool = \"ap\" }"),
              AT0 ".pool: there is no pool \"ap\", did you mean \"app\"?\n");
    CHECK_STR(bad_routes("{ respond = 99 }"), AT0 ".respond: 99 is out of range: 200 to 599\n");
    CHECK_STR(bad_routes("{ redirect = \"/x\", status = 305 }"),
              AT0 ": 305 is not one of 301, 302, 303, 307, 308\n");
    CHECK_STR(bad_routes("{ redirect = \"example.com\" }"),
              AT0 ": redirect: \"example.com\" is not \"https\", a path or an address with ://\n");
    CHECK_STR(bad_routes("{ redirect = \"/{hots}\" }"),
              AT0 ": redirect: \"{hots}\" is not one of: {scheme} {host} {authority} {uri} {path} "
                  "{query} {tail}\n");
    CHECK_STR(bad_routes("{ redirect = \"/{host\" }"),
              AT0 ": redirect: \"{\" without a \"}\"; write {{ for a brace\n");
    CHECK_STR(bad_routes("{ redirect = \"/a b\" }"),
              AT0 ": redirect: has characters that a URI must percent-encode\n");
    CHECK_STR(bad_routes("5"), AT0 ": wants a group { }, found 5\n");
    CHECK_STR(bad_routes("{ respond = 403, bdy = \"x\" }"),
              AT0 ": unknown setting \"bdy\", did you mean \"body\"?\n");
    CHECK_STR(load_bad("listeners = { web = { bind = \"*:80\", routes = { path = 5 } } }"),
              "t:1: error: listeners.web.routes.path: wants a string, found 5\n"
              "t:1: error: listeners.web.routes: one of \"pool\", \"split\", \"redirect\" and "
              "\"respond\" is missing\n");
    CHECK_STR(load_bad("listeners = { web = { bind = \"*:80\", routes = \"x\" } }"),
              "t:1: error: listeners.web.routes: wants a list ( ) of groups { }, found \"x\"\n");
    CHECK_STR(bad_listener("redirect = \"https\""),
              "t:2: error: listeners.web: has both \"pool\" and \"redirect\": keep one\n");
}

TEST(company)
{
    CHECK_STR(bad_routes("{ pool = \"app\", status = 301 }"),
              AT0 ": \"status\" means nothing without \"redirect\"\n");
    CHECK_STR(bad_routes("{ pool = \"app\", body = \"x\" }"),
              AT0 ": \"body\" means nothing without \"respond\"\n");
    CHECK_STR(bad_routes("{ pool = \"app\", split_key = \"client_ip\" }"),
              AT0 ": \"split_key\" means nothing without \"split\"\n");
    CHECK_STR(bad_routes("{ respond = 403, rewrite = \"/x\" }"),
              AT0 ": \"rewrite\" means nothing without \"pool\" or \"split\"\n");
    CHECK_STR(bad_routes("{ respond = 403, timeouts = { total = \"1s\" } }"),
              AT0 ": \"timeouts\" means nothing without \"pool\" or \"split\"\n");
    CHECK_STR(
        bad_routes("{ path = \"/a\", pool = \"app\", rewrite = \"/x\", strip_prefix = true }"),
        AT0 ": \"rewrite\" and \"strip_prefix\" both make the path: keep one\n");
    CHECK_STR(bad_routes("{ pool = \"app\", strip_prefix = true }"),
              AT0 ": \"strip_prefix\" needs a \"path\" to strip\n");
    CHECK_STR(bad_routes("{ path = \"=/a\", pool = \"app\", strip_prefix = true }"),
              AT0 ": \"=/a\" is no prefix: \"strip_prefix\" needs one\n");
    CHECK_STR(bad_routes("{ path = \"/\", path_regex = \"^/\", pool = \"app\" }"),
              AT0 ": \"path\" and \"path_regex\" are two ways to say one thing: keep one\n");
}

TEST(patterns)
{
    CHECK_STR(bad_routes("{ path = \"api\", pool = \"app\" }"),
              AT0 ".path: \"api\" does not begin with /\n");
    CHECK_STR(bad_routes("{ path = [ \"/a\", \"/a//b\" ], pool = \"app\" }"),
              AT0 ".path[1]: \"/a//b\" has empty or dot segments: write it without\n");
    CHECK_STR(bad_routes("{ path = \"/a/../b\", pool = \"app\" }"),
              AT0 ".path: \"/a/../b\" has empty or dot segments: write it without\n");
    CHECK_STR(bad_routes("{ path = \"/a?b\", pool = \"app\" }"),
              AT0 ".path: \"/a?b\" has a query or a fragment: a path ends before those\n");
    CHECK_STR(bad_routes("{ path = \"/a%20b\", pool = \"app\" }"),
              AT0 ".path: \"/a%20b\" is compared with the decoded path: write the characters "
                  "themselves\n");
    CHECK_STR(bad_routes("{ path = \"/a;b\", pool = \"app\" }"),
              AT0 ".path: \"/a;b\" has a \";\" or a \"\\\", which are not looked at\n");
    CHECK_STR(bad_routes("{ path = [ ], pool = \"app\" }"), AT0 ".path: is empty\n");
    CHECK_STR(bad_routes("{ host = \"a.test:80\", pool = \"app\" }"),
              AT0 ".host: \"a.test:80\": a host is compared without its port\n");
    CHECK_STR(bad_routes("{ host = \"a.*.test\", pool = \"app\" }"),
              AT0 ".host: \"a.*.test\" is not a host name, nor \"*.\" and a host name\n");
    CHECK_STR(bad_routes("{ methods = \"get\", pool = \"app\" }"),
              AT0 ".methods: \"get\": methods are written in capital letters\n");
    CHECK_STR(bad_routes("{ methods = [ \"GET\", \"A B\" ], pool = \"app\" }"),
              AT0 ".methods[1]: \"A B\" is not a method\n");
    CHECK_STR(bad_routes("{ headers = ( \"X-A\", \"1\" ), pool = \"app\" }"),
              AT0 ".headers: wants a list of pairs: write ( ( \"X-A\", \"1\" ) ), or [ ] for names "
                  "alone\n");
    CHECK_STR(bad_routes("{ headers = ( ( \"X A\", \"1\" ) ), pool = \"app\" }"),
              AT0 ".headers[0]: \"X A\" is not a name of a field or cookie\n");
    CHECK_STR(bad_routes("{ cookies = ( ( \"a\", \"b\", \"c\" ) ), pool = \"app\" }"), AT0
              ".cookies[0]: wants a name, or a name and a value: ( \"name\", \"value\" ), found a "
              "list ( )\n");
    CHECK_STR(bad_routes("{ query = ( ( 1, \"b\" ) ), pool = \"app\" }"),
              AT0 ".query[0]: wants a string, found 1\n");
    CHECK_STR(bad_routes("{ client = \"10.0.0.0/33\", pool = \"app\" }"), AT0
              ".client: \"10.0.0.0/33\" is not a network such as \"10.0.0.0/8\" or \"fd00::/8\"\n");
    CHECK_STR(bad_routes("{ priority = -1, pool = \"app\" }"),
              AT0 ".priority: -1 is out of range: 0 to 1000000\n");
}

TEST(regular_expressions)
{
    CHECK_STR(bad_routes("{ path_regex = \"^/(a\", pool = \"app\" }"),
              AT0 ".path_regex: \"^/(a\": missing closing parenthesis, at character 5\n");
    CHECK_STR(bad_routes("{ path_regex = \"(*UTF)a\", pool = \"app\" }"), AT0
              ".path_regex: \"(*UTF)a\": using UTF is disabled by the application, at character "
              "7\n");
    CHECK_STR(bad_routes("{ path_regex = \"^/(a)\", pool = \"app\", rewrite = \"/$2\" }"),
              AT0 ": rewrite: \"$2\": path_regex has 1 group\n");
    CHECK_STR(bad_routes("{ path = \"/a\", pool = \"app\", rewrite = \"/$1\" }"),
              AT0 ": rewrite: \"$1\" needs a path_regex with (groups)\n");
    CHECK_STR(bad_routes("{ path = \"/a\", pool = \"app\", rewrite = \"/$x\" }"),
              AT0 ": rewrite: \"$\" is followed by neither 1 to 9 nor another $\n");
    CHECK_STR(bad_routes("{ path = \"/a\", pool = \"app\", rewrite = \"x\" }"),
              AT0 ": rewrite: \"x\" does not begin with /\n");
}

TEST(conditions_by_name)
{
    CHECK_STR(bad_routes("{ when = \"got\", pool = \"app\" }"),
              AT0 ": there is no condition \"got\", did you mean \"get\"?\n");
    CHECK_STR(bad_routes("{ pool = \"app\",\nunless = [ \"x\" ] }"),
              "t:4: error: listeners.web.routes[0]: there is no condition \"x\"\n");
    CHECK_STR(bad_top("conditions = { a = { } }"),
              "t:3: error: conditions.a: says nothing: it would always hold\n");
    CHECK_STR(bad_top("conditions = { a = { pool = \"x\" } }"),
              "t:3: error: conditions.a: unknown setting \"pool\"; it belongs in listeners.*\n");
}

TEST(splits)
{
    CHECK_STR(bad_routes("{ split = ( { pool = \"app\", weight = 0 } ) }"),
              AT0 ".split: every weight is 0\n");
    CHECK_STR(bad_routes("{ split = ( ) }"), AT0 ".split: is empty\n");
    CHECK_STR(bad_routes("{ split = ( { weight = 1 } ) }"), AT0 ".split[0]: \"pool\" is missing\n");
    CHECK_STR(bad_routes("{ split = [ \"app\" ] }"),
              AT0 ".split: wants a list ( ) of groups { }, found an array [ ]\n");
}

TEST(header_edits)
{
    CHECK_STR(
        bad_listener("response_headers = { set = ( ( \"Content-Length\", \"1\" ) ) }"),
        "t:3: error: the field \"Content-Length\" frames or addresses the message: it cannot be "
        "set\n");
    CHECK_STR(bad_listener("response_headers = { set = ( ( \"Host\", \"1\" ) ) }"),
              "t:3: error: the field \"Host\" frames or addresses the message: it cannot be set\n");
    CHECK_STR(bad_listener("request_headers = { set = ( ( \"X\", \"a\\r\\nb\" ) ) }"),
              "t:3: error: listeners.web.request_headers.set[0]: has a control character (0x0d) in "
              "it\n");
    CHECK_STR(bad_listener("request_headers = { add = ( \"X\" ) }"),
              "t:3: error: listeners.web.request_headers.add[0]: \"X\" has no value: ( \"X\", "
              "\"value\" )\n");
    CHECK_STR(bad_listener("request_headers = { set = ( ( \"X\", \"{nope}\" ) ) }"),
              "t:3: error: X: \"{nope}\" is not one of: {scheme} {host} {authority} {uri} {path} "
              "{query} {method} {client_ip} {request_id}\n");
    CHECK_STR(
        bad_listener("request_headers = { remove = \"X:\" }"),
        "t:3: error: listeners.web.request_headers.remove: \"X:\" is not the name of a header "
        "field\n");
    CHECK_STR(
        bad_listener("request_headers = { always = true }"),
        "t:3: error: listeners.web.request_headers: unknown setting \"always\"; it belongs in "
        "response_headers\n");
}

TEST(error_pages)
{
    CHECK_STR(
        bad_listener("error_pages = ( { status = \"200\", file = \"/dev/null\" } )"),
        "t:3: error: listeners.web.error_pages[0].status: wants error statuses such as \"404\" "
        "or \"500-504\", found \"200\"\n"
        "t:3: error: listeners.web.error_pages[0].file: cannot read \"/dev/null\": not a regular "
        "file\n");
    CHECK_STR(
        bad_listener("error_pages = ( { status = \"404\", file = \"/nonexistent/x\" } )"),
        "t:3: error: listeners.web.error_pages[0].file: cannot read \"/nonexistent/x\": No such "
        "file or directory\n");
    CHECK_STR(bad_listener("error_pages = ( { status = \"404\" } )"),
              "t:3: error: listeners.web.error_pages[0]: \"file\" is missing\n");
}

TEST(routes_that_never_match)
{
    CHECK_STR(bad_routes("{ path = \"/a\", pool = \"app\" },\n{ path = \"/a\", respond = 403 }"),
              "t:4: error: this route never gets a request: the one at t:3 takes them all\n");
    CHECK_STR(bad_routes("{ path = \"/a/b\", pool = \"app\" },\n"
                         "{ path = \"/a\", priority = 1, respond = 403 }"),
              "t:3: error: this route never gets a request: the one at t:4 takes them all\n");
    CHECK_STR(bad_routes("{ host = \"a.b.test\", path = \"/x*y\", pool = \"app\" },\n"
                         "{ host = \"*.test\", path = \"/x*\", priority = 1, respond = 403 }"),
              "t:3: error: this route never gets a request: the one at t:4 takes them all\n");
    CHECK_STR(bad_routes("{ path = \"/a\", methods = \"GET\", pool = \"app\" },\n"
                         "{ path = \"/a\", methods = \"GET\", respond = 403 }"),
              "t:4: error: this route never gets a request: the one at t:3 takes them all\n");
    load_good(
        "pools = { app = { backends = [ ] } }\nlisteners = { web = { bind = \"*:80\", routes = (\n"
        "{ path = [ \"/a\", \"/b\" ], pool = \"app\" }, { path = \"/a\", priority = 1, pool = "
        "\"app\" }, { path = \"/abc\", respond = 403 }, { path = \"/a/\", methods = \"GET\", "
        "priority = 3, "
        "respond = 403 }, { host = \"*.x\", path = \"/a\", priority = 2, pool = \"app\" },"
        "{ path = \"/\", pool = \"app\" } ) } }");
}

TEST(not_in_tcp)
{
    CHECK_STR(load_bad("listeners = { db = { bind = \"*:1\", protocol = \"tcp\", pool = \"p\"\n"
                       "routes = ( { pool = \"p\" } ) } }\npools = { p = { backends = [ ] } }"),
              "t:2: error: listeners.db: \"routes\" means nothing with protocol = \"tcp\"\n");
}
