#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include "base/net.h"

static struct net_addr parsed(const char *text)
{
    struct net_addr a;
    char why[128] = "";
    if (net_addr_parse(text, &a, why, sizeof why) == -1)
        fprintf(stderr, "%s: %s\n", text, why);
    CHECK_STR(why, "");
    return a;
}

static const struct {
    const char *text, *shown, *host;
    unsigned port;
    bool loopback, wildcard;
} good[] = {
    {"10.0.0.1:80", "10.0.0.1:80", "10.0.0.1", 80, false, false},
    {"127.0.0.1:65535", "127.0.0.1:65535", "127.0.0.1", 65535, true, false},
    {"127.9.9.9:1", "127.9.9.9:1", "127.9.9.9", 1, true, false},
    {"0.0.0.0:8080", "0.0.0.0:8080", "0.0.0.0", 8080, false, true},
    {"[::1]:80", "[::1]:80", "::1", 80, true, false},
    {"[::]:80", "[::]:80", "::", 80, false, true},
    {"*:80", "[::]:80", "::", 80, false, true},
    {"[2001:DB8:0::1]:443", "[2001:db8::1]:443", "2001:db8::1", 443, false, false},
    {"[::ffff:1.2.3.4]:80", "1.2.3.4:80", "1.2.3.4", 80, false, false},
    {"[::ffff:127.0.0.1]:80", "127.0.0.1:80", "127.0.0.1", 80, true, false},
    {"unix:/run/a.sock", "unix:/run/a.sock", "unix:/run/a.sock", 0, true, false},
};

TEST(addresses_parse_and_show)
{
    char text[NET_ADDR_STRLEN];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct net_addr a = parsed(good[i].text);
        CHECK_STR(net_addr_format(&a, text, sizeof text), good[i].shown);
        CHECK_STR(net_addr_format_host(&a, text, sizeof text), good[i].host);
        CHECK_EQ(net_addr_port(&a), good[i].port);
        CHECK_EQ(net_addr_is_loopback(&a), good[i].loopback);
        CHECK_EQ(net_addr_is_wildcard(&a), good[i].wildcard);
    }
}

static const struct {
    const char *text, *reason;
} bad[] = {
    {"", "empty"},
    {"10.0.0.1", "write \"10.0.0.1:80\""},
    {"[::1]", "write \"[::1]:80\""},
    {"[::1", "without \"]\""},
    {"[::1]x:80", "may follow"},
    {"::1:80", "in brackets"},
    {"fe80::1", "in brackets"},
    {":80", "write \"*:80\""},
    {"[]:80", "host is missing"},
    {"10.0.0.1:", "port \"\""},
    {"10.0.0.1:0", "1 to 65535"},
    {"10.0.0.1:65536", "1 to 65535"},
    {"10.0.0.1:99999999999999999999", "1 to 65535"},
    {"10.0.0.1:080", "1 to 65535"},
    {"10.0.0.1:+80", "1 to 65535"},
    {"10.0.0.1:80 ", "1 to 65535"},
    {"10.0.0.1:http", "port \"http\""},
    {" 10.0.0.1:80", "not an IP address"},
    {"10.0.0.256:80", "not an IP address"},
    {"010.0.0.1:80", "not an IP address"},
    {"10.1:80", "not an IP address"},
    {"app.example:80", "\"app.example\" is not an IP address"},
    {"[10.0.0.1]:80", "not an IPv6 address"},
    {"[*]:80", "not an IPv6 address"},
    {"unix:", "absolute"},
    {"unix:run/a.sock", "absolute"},
};

TEST(addresses_as_text)
{
    static const uint8_t v4[][4] = {
        {0, 0, 0, 0}, {127, 0, 0, 1}, {10, 20, 99, 100}, {255, 255, 255, 255}, {1, 9, 199, 250}};
    static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
    char ours[INET6_ADDRSTRLEN], theirs[INET6_ADDRSTRLEN];
    for (size_t i = 0; i < ARRAY_LEN(v4); i++) {
        CHECK(inet_ntop(AF_INET, v4[i], theirs, sizeof theirs) != NULL);
        CHECK_EQ(net_ip_format(AF_INET, v4[i], ours), strlen(theirs));
        CHECK_STR(ours, theirs);
    }
    CHECK_EQ(net_ip_format(AF_INET6, v6, ours), 11);
    CHECK_STR(ours, "2001:db8::1");
    CHECK_EQ(net_ip_format(AF_UNIX, v4[0], ours), 0);
}

TEST(mistakes_have_reasons)
{
    struct net_addr a;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char why[256] = "";
        CHECK_EQ(net_addr_parse(bad[i].text, &a, why, sizeof why), -1);
        if (!strstr(why, bad[i].reason))
            fprintf(stderr, "\"%s\": %s\n", bad[i].text, why);
        CHECK(strstr(why, bad[i].reason));
    }
}

TEST(long_texts)
{
    struct net_addr a;
    char text[1000], why[64], shown[NET_ADDR_STRLEN];
    memset(text, 'a', sizeof text);
    memcpy(text + sizeof text - 4, ":80", 4);
    CHECK_EQ(net_addr_parse(text, &a, why, sizeof why), -1);
    memcpy(text, "unix:/", 6);
    text[5 + 108] = 0; /* sun_path holds 107 and the NUL */
    CHECK_EQ(net_addr_parse(text, &a, why, sizeof why), -1);
    CHECK(strstr(why, "too long"));
    text[5 + 107] = 0;
    CHECK_EQ(net_addr_parse(text, &a, why, sizeof why), 0);
    CHECK_STR(net_addr_format(&a, shown, sizeof shown), text);
}

TEST(unix_peers_without_a_path)
{
    char text[NET_ADDR_STRLEN];
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0name"};
    struct net_addr a;
    net_addr_from_sockaddr(&a, (struct sockaddr *)&un, sizeof(sa_family_t));
    CHECK_STR(net_addr_format(&a, text, sizeof text), "unix:");
    net_addr_from_sockaddr(&a, (struct sockaddr *)&un, sizeof(sa_family_t) + 5);
    CHECK_STR(net_addr_format(&a, text, sizeof text), "unix:@name");
}

TEST(equality)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        for (size_t k = 0; k < ARRAY_LEN(good); k++) {
            struct net_addr a = parsed(good[i].text), b = parsed(good[k].text);
            bool same = strcmp(good[i].shown, good[k].shown) == 0;
            CHECK_EQ(net_addr_equal(&a, &b), same);
        }
    struct net_addr a = parsed("10.0.0.1:80"), b = parsed("10.0.0.1:81");
    CHECK(!net_addr_equal(&a, &b));
    a = parsed("unix:/a"), b = parsed("unix:/ab");
    CHECK(!net_addr_equal(&a, &b));
}

TEST(localhost_resolves_to_ipv4)
{
    struct net_addr a;
    char why[128], text[NET_ADDR_STRLEN];
    CHECK_EQ(net_addr_resolve("localhost:8080", &a, why, sizeof why), 0);
    CHECK_STR(net_addr_format(&a, text, sizeof text), "127.0.0.1:8080");
}

TEST(resolving_leaves_numbers_and_paths_alone)
{
    struct net_addr a;
    char why[128], text[NET_ADDR_STRLEN];
    CHECK_EQ(net_addr_resolve("[::1]:81", &a, why, sizeof why), 0);
    CHECK_STR(net_addr_format(&a, text, sizeof text), "[::1]:81");
    CHECK_EQ(net_addr_resolve("unix:/x", &a, why, sizeof why), 0);
    CHECK_EQ(net_addr_resolve("unix:x", &a, why, sizeof why), -1);
    CHECK(strstr(why, "absolute"));
}

TEST(what_looks_like_an_ipv4_address_is_not_looked_up)
{
    static const char *const texts[] = {"10.0.0.256:80", "10.1:80", "1:80",
                                        "a b:80",        "-x:80",   ".x:80"};
    struct net_addr a;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char why[128];
        CHECK_EQ(net_addr_resolve(texts[i], &a, why, sizeof why), -1);
        CHECK(strstr(why, "neither"));
    }
}

static const struct {
    const char *block, *addr;
    bool match;
} blocks[] = {
    {"10.0.0.0/8", "10.255.0.1:1", true},
    {"10.0.0.0/8", "11.0.0.1:1", false},
    {"10.1.2.3/8", "10.9.9.9:1", true}, /* host bits do not matter */
    {"192.168.1.7", "192.168.1.7:1", true},
    {"192.168.1.7", "192.168.1.8:1", false},
    {"192.168.1.4/30", "192.168.1.7:1", true},
    {"192.168.1.4/30", "192.168.1.8:1", false},
    {"0.0.0.0/0", "1.2.3.4:1", true},
    {"0.0.0.0/0", "[2001:db8::1]:1", false},
    {"10.0.0.0/8", "[::ffff:10.1.1.1]:1", true}, /* a peer on a dual-stack socket */
    {"::ffff:10.0.0.0/104", "10.1.1.1:1", true},
    {"::ffff:10.0.0.0/104", "11.1.1.1:1", false},
    {"::1/128", "[::1]:1", true},
    {"::1", "[::2]:1", false},
    {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
    {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
    {"::/0", "[2001:db8::1]:1", true},
    {"::/0", "unix:/x", false},
    {"0.0.0.0/0", "unix:/x", false},
};

TEST(cidr_blocks_match)
{
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        struct net_cidr c;
        struct net_addr a = parsed(blocks[i].addr);
        CHECK_EQ(net_cidr_parse(blocks[i].block, &c), 0);
        if (net_cidr_match(&c, &a) != blocks[i].match)
            fprintf(stderr, "%s against %s\n", blocks[i].addr, blocks[i].block);
        CHECK_EQ(net_cidr_match(&c, &a), blocks[i].match);
    }
}

TEST(cidr_mistakes)
{
    static const char *const texts[] = {"",           "/8",          "10.0.0.0/",   "10.0.0.0/33",
                                        "10.0.0.0/x", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8 ",
                                        "10.0.0/8",   "::1/129",     "[::1]",       "localhost"};
    struct net_cidr c;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        CHECK_EQ(net_cidr_parse(texts[i], &c), -1);
}
