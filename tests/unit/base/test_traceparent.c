/* traceparent: strict, and what is written can be read. */
#include "tests/unit/harness.h"

#include <string.h>
#include "base/traceparent.h"

#define VALID "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static bool reads(const char *text)
{
    uint64_t id[2];
    return traceparent_read(text, (uint32_t)strlen(text), id);
}

TEST(valid)
{
    uint64_t id[2] = {0, 0};
    CHECK(traceparent_read(VALID, TRACEPARENT_BYTES, id));
    CHECK_EQ(id[0], 0x0af7651916cd43ddull);
    CHECK_EQ(id[1], 0x8448eb211c80319cull);
    CHECK(reads("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    CHECK(reads("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
    CHECK(reads("00-00000000000000000000000000000001-0000000000000001-ff"));
}

TEST(malformed)
{
    CHECK(!reads(""));
    CHECK(!reads(VALID "-more"));
    CHECK(!reads(VALID " "));
    CHECK(!reads("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    CHECK(!reads("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more"));
    CHECK(!reads("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
    CHECK(!reads("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
    char text[] = VALID;
    for (uint32_t i = 0; i < TRACEPARENT_BYTES; i++) {
        char was = text[i];
        text[i] = was == '-' ? '0' : 'A';
        CHECK(!reads(text));
        text[i] = was;
    }
    uint64_t id[2];
    for (uint32_t i = 0; i < TRACEPARENT_BYTES; i++)
        CHECK(!traceparent_read(VALID, i, id));
}

TEST(written_and_read)
{
    const uint64_t id[2] = {0x0af7651916cd43ddull, 0x8448eb211c80319cull};
    char out[TRACEPARENT_BYTES + 1] = "";
    traceparent_write(out, id, 0xb7ad6b7169203331ull, true);
    CHECK_STR(out, VALID);
    traceparent_write(out, id, 1, false);
    CHECK_STR(out + 36, "0000000000000001-00");
}
