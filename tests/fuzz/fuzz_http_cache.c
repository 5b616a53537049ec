/* What caching reads out of fields: within bounds, and dates and ranges mean what they say. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/http_cache.h"
#include "base/http_date.h"

#define NOW 1790000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_seconds(uint32_t s)
{
    return s == HTTP_CACHE_NONE || s <= HTTP_CACHE_MOST;
}

static void check_control(const char *bytes, size_t len)
{
    struct http_cache_control c, twice;
    http_cache_control_init(&c);
    http_cache_control_add(&c, bytes, len);
    assert(is_seconds(c.max_age) && is_seconds(c.s_maxage) && is_seconds(c.min_fresh));
    assert(is_seconds(c.max_stale) && is_seconds(c.while_revalidate) && is_seconds(c.if_error));
    twice = c;
    http_cache_control_add(&twice, bytes, len); /* said again, it says the same */
    assert(memcmp(&c, &twice, sizeof c) == 0);
}

static void check_date(const char *bytes, size_t len)
{
    int64_t s, again;
    char text[HTTP_DATE_BYTES];
    if (!http_date_parse(bytes, len, NOW, &s))
        return;
    http_date_format(s, text);
    bool read = http_date_parse(text, strlen(text), NOW, &again);
    assert(read && again == s);
}

static void check_range(const char *bytes, size_t len, uint64_t body)
{
    uint64_t first = 0, count = 0;
    if (http_cache_range(bytes, len, body, &first, &count) == HTTP_RANGE_OK)
        assert(count > 0 && count <= body && first <= body - count);
}

static bool is_inside(void *arg, const char *name, size_t len)
{
    const char *const *ends = arg;
    assert(len > 0 && name >= ends[0] && name + len <= ends[1]);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1); /* of this very size: reading past it is seen */
    assert(copy != NULL);
    memcpy(copy, data, size);
    const char *ends[] = {copy, copy + size};
    check_control(copy, size);
    check_date(copy, size);
    check_range(copy, size, size);
    check_range(copy, size, 0);
    assert(http_cache_each_name(copy, size, is_inside, ends));
    (void)http_cache_etag_matches(copy, size, "\"a\"", 3);
    if (size > 2)
        (void)http_cache_etag_matches(copy + 2, size - 2, copy, 2);
    free(copy);
    return 0;
}
