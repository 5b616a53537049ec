#include "base/proxy_proto.h"

#include "tests/unit/harness.h"

static struct proxy_proto head;

static enum proxy_proto_result read_text(const char *text)
{
    return proxy_proto_read(text, strlen(text), &head);
}

/* Every prefix wants more, the whole is done, and what follows changes nothing. */
static void check_fed(const char *bytes, size_t len)
{
    char longer[1024];
    for (size_t n = 0; n < len; n++) {
        char *copy = malloc(n + 1); /* an address of its own: nothing behind it may be read */
        memcpy(copy, bytes, n);
        CHECK_EQ(proxy_proto_read(copy, n, &head), PROXY_PROTO_MORE);
        free(copy);
    }
    memcpy(longer, bytes, len);
    memset(longer + len, 'x', sizeof longer - len);
    CHECK_EQ(proxy_proto_read(longer, sizeof longer, &head), PROXY_PROTO_DONE);
    CHECK_EQ(head.len_bytes, len);
    CHECK_EQ(proxy_proto_read(bytes, len, &head), PROXY_PROTO_DONE);
    CHECK_EQ(head.len_bytes, len);
}

static void check_addr(const struct net_addr *a, const char *want)
{
    char text[NET_ADDR_STRLEN];
    CHECK_STR(net_addr_format(a, text, sizeof text), want);
}

TEST(v1_tcp4)
{
    const char *line = "PROXY TCP4 192.0.2.1 198.51.100.255 56324 443\r\n";
    check_fed(line, strlen(line));
    CHECK(!head.local);
    check_addr(&head.from, "192.0.2.1:56324");
    check_addr(&head.to, "198.51.100.255:443");
}

TEST(v1_tcp6)
{
    const char *line = "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n";
    check_fed(line, strlen(line));
    check_addr(&head.from, "[2001:db8::1]:1");
    check_addr(&head.to, "[::1]:65535");
}

TEST(v1_longest_line)
{
    const char *line = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    CHECK_EQ(strlen(line), 107);
    check_fed(line, strlen(line));
    CHECK(head.local);
    CHECK_EQ(read_text("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655351\r\n"),
             PROXY_PROTO_ERROR);
}

TEST(v1_unknown)
{
    check_fed("PROXY UNKNOWN\r\n", 15);
    CHECK(head.local);
    check_fed("PROXY UNKNOWN whatever stands here\r\n", 36);
    CHECK(head.local);
}

TEST(v1_refused)
{
    static const char *const bad[] = {
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 1.2.3.4\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 4294967297\r\n",
        "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP6 ::1%lo ::2 1 2\r\n",
        "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
        "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        "PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
        "GET / HTTP/1.1\r\n",
        "P0",
        " PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "\r\nPROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "\x16\x03\x01",
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_text(bad[i]) != PROXY_PROTO_ERROR)
            fprintf(stderr, "accepted: %s\n", bad[i]);
        CHECK_EQ(read_text(bad[i]), PROXY_PROTO_ERROR);
        CHECK(head.error != NULL);
    }
    CHECK_EQ(proxy_proto_read("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n", 33, &head),
             PROXY_PROTO_ERROR);
}

TEST(v1_without_an_end)
{
    char line[200];
    memset(line, 'a', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    CHECK_EQ(proxy_proto_read(line, 106, &head), PROXY_PROTO_MORE);
    CHECK_EQ(proxy_proto_read(line, 107, &head), PROXY_PROTO_ERROR);
    CHECK_EQ(proxy_proto_read(line, sizeof line, &head), PROXY_PROTO_ERROR);
}

/* ---- version 2 ---- */

#define SIG            "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal) (literal), sizeof(literal) - 1

TEST(v2_inet)
{
    check_fed(BYTES(SIG "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb"));
    CHECK(!head.local);
    check_addr(&head.from, "192.0.2.1:4660");
    check_addr(&head.to, "198.51.100.2:443");
}

TEST(v2_inet6)
{
    check_fed(BYTES(SIG "\x21\x21\x00\x24"
                        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                        "\x00\x07\x00\x08"));
    check_addr(&head.from, "[2001:db8::1]:7");
    check_addr(&head.to, "[::1]:8");
}

TEST(v2_unix)
{
    char bytes[16 + 216] = SIG "\x21\x31\x00\xd8/run/from";
    memset(bytes + 16 + 108, '/', 108); /* a path that fills its place */
    check_fed(bytes, sizeof bytes);
    CHECK_EQ(head.from.u.sa.sa_family, AF_UNIX);
    check_addr(&head.from, "unix:/run/from");
    CHECK_EQ(strlen(head.to.u.un.sun_path), 107);
}

TEST(v2_tlvs)
{
    check_fed(BYTES(SIG "\x21\x11\x00\x13\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"
                        "\x01\x00\x01h\x04\x00\x00"));
    check_addr(&head.from, "1.2.3.4:1");
}

TEST(v2_local)
{
    check_fed(BYTES(SIG "\x20\x00\x00\x00"));
    CHECK(head.local);
    check_fed(BYTES(SIG "\x20\x11\x00\x02zz")); /* to be passed over, whatever it is */
    CHECK(head.local);
    check_fed(BYTES(SIG "\x21\x00\x00\x03zzz"));
    CHECK(head.local);
}

TEST(v2_refused)
{
    struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {BYTES(SIG "\x11")},             /* version */
        {BYTES(SIG "\x22")},             /* command */
        {BYTES(SIG "\x21\x41")},         /* family */
        {BYTES(SIG "\x21\x13")},         /* transport */
        {BYTES(SIG "\x21\x11\x00\x0b")}, /* shorter than its addresses */
        {BYTES(SIG "\x21\x21\x00\x0c")}, /* likewise */
        {BYTES(SIG "\x21\x31\x00\x24")}, /* likewise */
        {BYTES(SIG "\x21\x11\xff\xff")}, /* too long */
        {BYTES(SIG "\x20\x00\x3f\xf1")}, /* one byte too long */
        {BYTES("\r\n\r\n\0\r\nQUIT\r")}, /* signature */
        {BYTES("\r\nGET")},
        {BYTES(SIG "\x21\x11\x00\x0d"
                   "abcdefghijkl"
                   "\x01")}, /* half a TLV */
        {BYTES(SIG "\x21\x11\x00\x0f"
                   "abcdefghijkl"
                   "\x01\x00\x01")}, /* TLV beyond the end */
        {BYTES(SIG "\x21\x11\x00\x10"
                   "abcdefghijkl"
                   "\x01\xff\xffz")},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_EQ(proxy_proto_read(bad[i].bytes, bad[i].len, &head), PROXY_PROTO_ERROR);
}

TEST(v2_longest)
{
    static char bytes[PROXY_PROTO_HEADER_MAX] = SIG "\x20\x00\x3f\xf0";
    CHECK_EQ(proxy_proto_read(bytes, sizeof bytes - 1, &head), PROXY_PROTO_MORE);
    CHECK_EQ(proxy_proto_read(bytes, sizeof bytes, &head), PROXY_PROTO_DONE);
    CHECK_EQ(head.len_bytes, PROXY_PROTO_HEADER_MAX);
}

/* ---- what is written can be read ---- */

static struct net_addr addr(const char *text)
{
    struct net_addr a;
    char why[160];
    CHECK_EQ(net_addr_parse(text, &a, why, sizeof why), 0);
    return a;
}

static void round_trip(unsigned version, const char *from_text, const char *to_text,
                       const char *want_from, const char *want_to)
{
    struct net_addr from = addr(from_text), to = addr(to_text);
    char out[PROXY_PROTO_OUT_MAX];
    size_t n = proxy_proto_write(version, &from, &to, out);
    CHECK(n <= sizeof out);
    CHECK_EQ(proxy_proto_read(out, n, &head), PROXY_PROTO_DONE);
    CHECK_EQ(head.len_bytes, n);
    CHECK_EQ(head.local, want_from == NULL);
    if (want_from) {
        check_addr(&head.from, want_from);
        check_addr(&head.to, want_to);
    }
}

TEST(written)
{
    for (unsigned v = 1; v <= 2; v++) {
        round_trip(v, "10.1.2.3:4", "10.0.0.1:80", "10.1.2.3:4", "10.0.0.1:80");
        round_trip(v, "[2001:db8::1]:4", "[::1]:80", "[2001:db8::1]:4", "[::1]:80");
        round_trip(v, "10.1.2.3:4", "[::1]:80", "10.1.2.3:4", "[::1]:80");
        round_trip(v, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                   "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65534",
                   "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                   "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65534");
        round_trip(v, "unix:/run/x", "unix:/run/y", NULL, NULL);
    }
}

TEST(written_for_ourselves)
{
    char out[PROXY_PROTO_OUT_MAX];
    CHECK_EQ(proxy_proto_write(1, NULL, NULL, out), 15);
    CHECK(memcmp(out, "PROXY UNKNOWN\r\n", 15) == 0);
    CHECK_EQ(proxy_proto_write(2, NULL, NULL, out), 16);
    CHECK(memcmp(out, SIG "\x20\x00\x00\x00", 16) == 0);
}
