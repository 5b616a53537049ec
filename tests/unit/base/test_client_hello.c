#include "base/client_hello.h"

#include "tests/unit/harness.h"

/* A hello under construction: message bytes, cut into records at the end. */
struct made {
    uint8_t message[40000];
    uint32_t len;
    uint8_t bytes[120000];
    uint32_t total;
};
static struct made m;
static struct client_hello h;

static void put(const void *bytes, uint32_t n)
{
    memcpy(m.message + m.len, bytes, n);
    m.len += n;
}

static void put_number(uint32_t value, unsigned bytes)
{
    while (bytes-- > 0)
        m.message[m.len++] = (uint8_t)(value >> (8 * bytes));
}

static void begin_message(uint32_t session_bytes)
{
    memset(&m, 0, sizeof m);
    put_number(1, 1);
    put_number(0, 3);
    put_number(0x0303, 2);
    m.len += 32;
    put_number(session_bytes, 1);
    m.len += session_bytes;
    put_number(4, 2);
    put_number(0x0a0a1301, 4); /* GREASE, and a suite */
    put_number(0x0100, 2);
}

static uint32_t extensions_at;

static void begin_extensions(void)
{
    extensions_at = m.len;
    put_number(0, 2);
}

static void put_extension(uint32_t type, const void *bytes, uint32_t n)
{
    put_number(type, 2);
    put_number(n, 2);
    put(bytes, n);
}

static void put_host(const char *host)
{
    uint32_t n = (uint32_t)strlen(host);
    put_number(0, 2);
    put_number(n + 5, 2);
    put_number(n + 3, 2);
    put_number(0, 1);
    put_number(n, 2);
    put(host, n);
}

static void set16(uint32_t at, uint32_t value)
{
    m.message[at] = (uint8_t)(value >> 8);
    m.message[at + 1] = (uint8_t)value;
}

static void finish(uint32_t record_bytes)
{
    if (extensions_at)
        set16(extensions_at, m.len - extensions_at - 2);
    extensions_at = 0;
    set16(2, m.len - 4);
    for (uint32_t at = 0; at < m.len; at += record_bytes) {
        uint32_t n = m.len - at < record_bytes ? m.len - at : record_bytes;
        uint8_t head[5] = {22, 3, 1, (uint8_t)(n >> 8), (uint8_t)n};
        memcpy(m.bytes + m.total, head, 5);
        memcpy(m.bytes + m.total + 5, m.message + at, n);
        m.total += 5 + n;
    }
}

static enum client_hello_result read_all(void)
{
    return client_hello_read(&h, m.bytes, m.total);
}

/* One byte more at a time, each time at another address with nothing behind it. */
static void check_fed(void)
{
    struct client_hello slow;
    for (uint32_t n = 0; n <= m.total; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, m.bytes, n);
        CHECK_EQ(client_hello_read(&slow, copy, n),
                 n < m.total ? CLIENT_HELLO_MORE : CLIENT_HELLO_DONE);
        free(copy);
    }
    CHECK_EQ(read_all(), CLIENT_HELLO_DONE);
    CHECK_STR(slow.host, h.host);
    CHECK_EQ(slow.alpn_len, h.alpn_len);
    CHECK(memcmp(slow.alpn, h.alpn, h.alpn_len) == 0);
}

static void make_usual(uint32_t record_bytes)
{
    begin_message(32);
    begin_extensions();
    put_extension(0x0a0a, "", 0);
    put_host("DB.a.Example.");
    put_extension(0xfe0d, "encrypted, whatever it is", 25);
    put_extension(16, "\0\x0c\x02h2\x08http/1.1", 14);
    put_extension(0x5a5a, "x", 1);
    finish(record_bytes);
}

TEST(one_record)
{
    make_usual(16384);
    check_fed();
    CHECK_STR(h.host, "db.a.example");
    CHECK_EQ(h.host_len, 12);
    CHECK(client_hello_offers(&h, "h2", 2));
    CHECK(client_hello_offers(&h, "http/1.1", 8));
    CHECK(!client_hello_offers(&h, "http/1.0", 8));
    CHECK(!client_hello_offers(&h, "h", 1));
}

TEST(many_records)
{
    for (uint32_t size = 4; size < 40; size++) {
        make_usual(size);
        check_fed();
        CHECK_STR(h.host, "db.a.example");
        CHECK(client_hello_offers(&h, "http/1.1", 8));
    }
}

TEST(what_follows_does_not_matter)
{
    make_usual(100);
    memset(m.bytes + m.total, 0xff, 100);
    m.total += 100;
    CHECK_EQ(read_all(), CLIENT_HELLO_DONE);
    CHECK_STR(h.host, "db.a.example");
}

TEST(no_name)
{
    begin_message(0);
    finish(16384); /* no extensions at all */
    check_fed();
    CHECK_STR(h.host, "");
    CHECK_EQ(h.alpn_len, 0);
    begin_message(0);
    begin_extensions();
    put_extension(43, "\x02\x03\x04", 3);
    finish(16384);
    check_fed();
    CHECK_STR(h.host, "");
}

TEST(not_tls)
{
    static const char *const others[] = {"GET / HTTP/1.1\r\n",   "SSH-2.0-x",
                                         "\x80\x2e\x01\x03\x01", "\x15\x03\x01",
                                         "\x16\x02\x00",         "\x17\x03\x03"};
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        CHECK_EQ(client_hello_read(&h, others[i], strlen(others[i])), CLIENT_HELLO_NONE);
    }
    CHECK_EQ(client_hello_read(&h, "", 0), CLIENT_HELLO_MORE);
}

static void refused(void)
{
    CHECK_EQ(read_all(), CLIENT_HELLO_ERROR);
    CHECK(h.error != NULL);
}

TEST(bad_records)
{
    make_usual(50);
    m.bytes[55] = 23; /* the second record is another protocol's */
    refused();
    make_usual(50);
    m.bytes[3] = m.bytes[4] = 0; /* an empty record */
    refused();
    make_usual(50);
    m.bytes[3] = 0x40, m.bytes[4] = 1; /* longer than a record may be */
    refused();
    make_usual(50);
    m.bytes[5] = 2; /* ServerHello */
    refused();
    make_usual(50);
    m.bytes[6] = 1; /* 64 KiB and more */
    refused();
}

/* A lie in any length is found, or harmless: never a byte read beyond the message (ASan looks). */
TEST(every_byte_wrong)
{
    make_usual(16384);
    uint32_t total = m.total;
    for (uint32_t at = 0; at < total; at++)
        for (unsigned flip = 0; flip < 256; flip += 5) {
            uint8_t *copy = malloc(total);
            memcpy(copy, m.bytes, total);
            copy[at] = (uint8_t)(copy[at] ^ flip);
            if (client_hello_read(&h, copy, total) == CLIENT_HELLO_DONE)
                CHECK(strlen(h.host) == h.host_len && h.alpn_len <= sizeof h.alpn);
            free(copy);
        }
}

static void one_extension(uint32_t type, const void *bytes, uint32_t n)
{
    begin_message(32);
    begin_extensions();
    put_extension(type, bytes, n);
    finish(16384);
}

TEST(bad_extensions)
{
    one_extension(0, "", 0);
    refused();
    one_extension(0, "\0\0", 2); /* an empty list */
    refused();
    one_extension(0, "\0\x03\0\0\0", 5); /* an empty name */
    refused();
    one_extension(0, "\0\x04\0\0\x02x", 6); /* a name longer than its list */
    refused();
    one_extension(0, "\0\x04\0\0\x01xy", 7); /* more than its list */
    refused();
    one_extension(0,
                  "\0\x06\0\0\x03"
                  "a\0b",
                  8);
    refused();
    one_extension(0,
                  "\0\x06\0\0\x03"
                  "a b",
                  8);
    refused();
    one_extension(16, "\0\0", 2);
    refused();
    one_extension(16, "\0\x01\0", 3); /* an empty protocol */
    refused();
    one_extension(16, "\0\x02\x05x", 4);
    refused();
    begin_message(32);
    begin_extensions();
    put_host("a.example");
    put_host("b.example"); /* twice: which one? */
    finish(16384);
    refused();
    begin_message(33); /* a session id that is too long */
    finish(16384);
    refused();
    begin_message(0);
    put_number(5, 1); /* half a length */
    finish(16384);
    refused();
}

TEST(a_name_of_255_bytes)
{
    char host[257];
    memset(host, 'a', sizeof host);
    host[255] = '\0';
    begin_message(0);
    begin_extensions();
    put_host(host);
    finish(16384);
    check_fed();
    CHECK_STR(h.host, host);
    host[255] = 'a', host[256] = '\0';
    begin_message(0);
    begin_extensions();
    put_host(host);
    finish(16384);
    refused();
}

TEST(too_long)
{
    static const char zeros[17000];
    begin_message(0);
    begin_extensions();
    put_extension(21, zeros, 16000);
    finish(4000);
    CHECK_EQ(read_all(), CLIENT_HELLO_DONE);
    begin_message(0);
    begin_extensions();
    put_extension(21, zeros, 16500);
    finish(4000);
    refused();
    begin_message(0);
    begin_extensions();
    put_extension(21, zeros, 16000);
    finish(250); /* 65 records */
    refused();
}

TEST(many_protocols)
{
    uint8_t list[2 + 300 * 4 + 1];
    for (unsigned i = 0; i < 300; i++)
        snprintf((char *)list + 2 + i * 4, 5, "%c%03u", 3, i);
    list[0] = 1200 >> 8, list[1] = 1200 & 255;
    one_extension(16, list, sizeof list - 1);
    CHECK_EQ(read_all(), CLIENT_HELLO_DONE);
    CHECK(client_hello_offers(&h, "000", 3));
    CHECK(client_hello_offers(&h, "126", 3));
    CHECK(!client_hello_offers(&h, "299", 3));
}
