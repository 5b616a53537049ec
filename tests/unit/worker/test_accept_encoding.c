/* Accept-Encoding: what is liked best, and nothing that is not said. */
#include "tests/unit/harness.h"

#include <string.h>
#include "worker/accept_encoding.h"

static const uint8_t zstd_first[] = {CODING_ZSTD, CODING_BROTLI, CODING_GZIP};
static const uint8_t gzip_only[] = {CODING_GZIP, CODING_NONE, CODING_NONE};

static enum conf_coding choose(const uint8_t *order, const char *first, const char *second)
{
    struct accept_encoding a;
    accept_encoding_init(&a);
    accept_encoding_add(&a, first, (uint32_t)strlen(first));
    if (second)
        accept_encoding_add(&a, second, (uint32_t)strlen(second));
    return accept_encoding_choose(&a, order);
}

TEST(weights_then_order)
{
    CHECK_EQ(choose(zstd_first, "gzip, br, zstd", NULL), CODING_ZSTD);
    CHECK_EQ(choose(zstd_first, "gzip;q=1, br;q=0.9, zstd;q=0.8", NULL), CODING_GZIP);
    CHECK_EQ(choose(zstd_first, "gzip;q=0.001, br;q=0.002", NULL), CODING_BROTLI);
    CHECK_EQ(choose(gzip_only, "br, zstd", NULL), CODING_NONE);
    CHECK_EQ(choose(gzip_only, "br, *;q=0.1", NULL), CODING_GZIP);
    CHECK_EQ(choose(zstd_first, "gzip;q=0.2", "br;q=0.3"), CODING_BROTLI);
}

TEST(nothing_is_liked)
{
    CHECK_EQ(choose(zstd_first, "", NULL), CODING_NONE);
    CHECK_EQ(choose(zstd_first, "*;q=0", NULL), CODING_NONE);
    CHECK_EQ(choose(zstd_first, "gzip;q=0, zstd;q=0.0, br;q=0.000", NULL), CODING_NONE);
    CHECK_EQ(choose(zstd_first, "gzip;q=0.9, identity", NULL), CODING_NONE);
    CHECK_EQ(choose(zstd_first, "gzip;q=0.9, identity;q=0.9", NULL), CODING_GZIP);
    CHECK_EQ(choose(zstd_first, "gzip;q=0, *", NULL), CODING_ZSTD);
}

TEST(spelling)
{
    CHECK_EQ(choose(gzip_only, " ,\t,GZip ;\t Q=0.5 ,,", NULL), CODING_GZIP);
    CHECK_EQ(choose(gzip_only, "X-GZIP", NULL), CODING_GZIP);
    CHECK_EQ(choose(gzip_only, "gzip;q=1.000", NULL), CODING_GZIP);
    static const char *const bad[] = {
        "gzip;q=1.001",  "gzip;q=",   "gzip;q",       "gzip;",   "gzip;q=.5",
        "gzip;q=0.5555", "gzip;q=-1", "gzip;q=1;x=1", "gzip br", "gzi",
        "gzipp",         "gzip;qq=1", "gzip;q=0.5 5", "x-",      "\"gzip\""};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(choose(gzip_only, bad[i], NULL), CODING_NONE);
    CHECK_EQ(choose(gzip_only, "gzip;q=0, gzip", NULL), CODING_NONE); /* the first one counts */
}
