#include <strings.h>

#include "tests/fuzz/fuzz_http1.h"

struct body {
    enum http1_result result;
    uint32_t used;
    uint32_t payload_len;
    char payload[4096];
};

/* One piece to its end; what the parser does not use is only what follows the message. */
static uint32_t read_piece(struct http1_chunked *c, const char *bytes, uint32_t len, struct body *b)
{
    char *copy = fuzz_copy(bytes, len);
    uint32_t at = 0, consumed;
    struct http1_span run;

    do {
        b->result = http1_chunked_step(c, copy + at, len - at, &consumed, &run);
        if (b->result == HTTP1_ERROR) {
            assert(consumed == 0 && run.len == 0);
            break;
        }
        assert(consumed <= len - at && run.off <= consumed && run.len <= consumed - run.off);
        memcpy(b->payload + b->payload_len, copy + at + run.off, run.len);
        b->payload_len += run.len;
        at += consumed;
    } while (b->result == HTTP1_MORE && consumed > 0);
    assert(b->result != HTTP1_MORE || at == len);
    free(copy);
    return at;
}

static void read_body(struct body *b, const char *bytes, uint32_t len, uint32_t seed)
{
    struct http1_chunked c;
    uint32_t at = 0;

    http1_chunked_reset(&c);
    memset(b, 0, sizeof(*b));
    while (b->result == HTTP1_MORE && at < len) {
        uint32_t n = fuzz_piece(&seed, len - at);
        b->used += read_piece(&c, bytes + at, n, b);
        at += n;
    }
}

/* An independent reading of an accepted body: sizes by strtoull, lines by CRLF. */
static void check_payload(const struct body *b, const char *bytes)
{
    char *copy = calloc(1, b->used + 1), *p = copy;
    uint32_t got = 0;

    assert(copy != NULL);
    memcpy(copy, bytes, b->used);
    for (;;) {
        uint64_t size = strtoull(p, NULL, 16);
        p = strstr(p, "\r\n") + 2;
        if (size == 0) {
            break;
        }
        assert(size <= b->payload_len - got && memcmp(p, b->payload + got, size) == 0);
        got += (uint32_t)size;
        p += size + 2;
    }
    assert(got == b->payload_len);
    for (; *p != '\r'; p = strstr(p, "\r\n") + 2) {
        assert(strncasecmp(p, "content-length:", 15) != 0 && strncasecmp(p, "host:", 5) != 0);
        assert(strncasecmp(p, "transfer-encoding:", 18) != 0);
    }
    assert(memcmp(copy + b->used - 4, "\r\n\r\n", 4) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct body whole, other;

    if (size < 1 || size > 4096) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    uint32_t len = (uint32_t)size - 1;

    read_body(&whole, bytes, len, 0);
    for (uint32_t seed = 1; seed < 3; seed++) {
        read_body(&other, bytes, len, seed == 1 ? 1 : data[0] + 2u);
        assert(other.result == whole.result && other.payload_len == whole.payload_len);
        assert(memcmp(other.payload, whole.payload, whole.payload_len) == 0);
        assert(whole.result == HTTP1_ERROR || other.used == whole.used);
    }
    if (whole.result == HTTP1_DONE) {
        check_payload(&whole, bytes);
    }
    return 0;
}
