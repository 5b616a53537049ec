#include "tests/fuzz/fuzz_http1.h"

struct options {
    struct http1_limits limits;
    bool is_head, is_connect;
};

static enum http1_result parse(struct http1_head *h, const char *bytes, uint32_t len, uint32_t seed,
                               const struct options *o)
{
    uint32_t at = 0;
    enum http1_result r;

    memset(h, 0, sizeof(*h));
    http1_head_reset(h);
    do {
        at += fuzz_piece(&seed, len - at);
        char *copy = fuzz_copy(bytes, at);
        r = http1_parse_response(h, copy, at, &o->limits, o->is_head, o->is_connect);
        free(copy);
    } while (r == HTTP1_MORE && at < len);
    return r;
}

static void check_response(const struct http1_head *h, const struct options *o)
{
    bool bodiless = o->is_head || h->status < 200 || h->status == 204 || h->status == 304;

    assert(h->status >= 100 && h->status <= 999);
    assert(!bodiless || h->body == HTTP1_BODY_NONE);
    assert(h->body != HTTP1_BODY_CLOSE || !h->keep_alive);
    assert(h->method.len == 0 && h->target.len == 0 && h->authority.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http1_head whole, other;

    if (size < 1 || size > 4096) {
        return 0;
    }
    const struct options o = {
        .limits = {.head_bytes = data[0] & 1 ? 64 : 65536,
                   .headers = data[0] & 2 ? 3 : HTTP1_HEADERS_MAX},
        .is_head = (data[0] & 4) != 0,
        .is_connect = (data[0] & 8) != 0,
    };
    const char *bytes = (const char *)data + 1;
    uint32_t len = (uint32_t)size - 1;
    enum http1_result r = parse(&whole, bytes, len, 0, &o);

    for (uint32_t seed = 1; seed < 3; seed++) {
        enum http1_result again = parse(&other, bytes, len, seed == 1 ? 1 : data[0] + 2u, &o);
        assert(again == r);
        fuzz_check_same(&whole, &other, r);
    }
    if (r == HTTP1_DONE) {
        fuzz_check_head(&whole, bytes, len, &o.limits);
        check_response(&whole, &o);
    } else if (r == HTTP1_ERROR) {
        assert(whole.error != NULL && whole.status == 502);
    }
    return 0;
}
