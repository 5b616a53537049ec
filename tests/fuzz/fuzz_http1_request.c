#include "tests/fuzz/fuzz_http1.h"

static enum http1_result parse(struct http1_head *h, const char *bytes, uint32_t len, uint32_t seed,
                               const struct http1_limits *limits)
{
    uint32_t at = 0;
    enum http1_result r;

    memset(h, 0, sizeof(*h));
    http1_head_reset(h);
    do {
        at += fuzz_piece(&seed, len - at);
        char *copy = fuzz_copy(bytes, at);
        r = http1_parse_request(h, copy, at, limits);
        free(copy);
    } while (r == HTTP1_MORE && at < len);
    return r;
}

static void check_request(const struct http1_head *h, const char *buf)
{
    assert(http1_is_token(buf + h->method.off, h->method.len));
    assert(h->first_line_bytes > 0 && h->body != HTTP1_BODY_CLOSE);
    assert(buf[h->method.off + h->first_line_bytes - 1] == '\n');
    assert(h->target.len > 0);
    for (uint32_t i = 0; i < h->target.len; i++) {
        char c = buf[h->target.off + i];
        assert(c > ' ' && c < 0x7f && c != '#');
    }
    if (h->minor > 0) {
        assert((h->present & UINT64_C(1) << HTTP1_H_HOST) != 0 && h->authority.len > 0);
    }
    assert(h->path.len == 0 || buf[h->path.off] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http1_head whole, other;

    if (size < 1 || size > 4096) {
        return 0;
    }
    const struct http1_limits limits = {.head_bytes = data[0] & 1 ? 64 : 65536,
                                        .headers = data[0] & 2 ? 3 : HTTP1_HEADERS_MAX};
    const char *bytes = (const char *)data + 1;
    uint32_t len = (uint32_t)size - 1;
    enum http1_result r = parse(&whole, bytes, len, 0, &limits);

    for (uint32_t seed = 1; seed < 3; seed++) {
        enum http1_result again = parse(&other, bytes, len, seed == 1 ? 1 : data[0] + 2u, &limits);
        assert(again == r);
        fuzz_check_same(&whole, &other, r);
    }
    if (r == HTTP1_DONE) {
        fuzz_check_head(&whole, bytes, len, &limits);
        check_request(&whole, bytes);
    } else if (r == HTTP1_ERROR) {
        assert(whole.error != NULL);
        assert(whole.status == 400 || whole.status == 414 || whole.status == 431 ||
               whole.status == 501);
    }
    return 0;
}
