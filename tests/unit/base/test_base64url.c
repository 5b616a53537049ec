#include "base/base64url.h"
#include "tests/unit/harness.h"

static void check_url(const char *text, const char *wanted)
{
    unsigned char out[64];
    size_t n = base64url_decode(text, strlen(text), out, sizeof out);
    CHECK_EQ(n, strlen(wanted));
    CHECK(memcmp(out, wanted, n) == 0);
}

TEST(decodes)
{
    check_url("TQ", "M");
    check_url("TWE", "Ma");
    check_url("TWFu", "Man");
    check_url("_-_-", "\xff\xef\xfe");
    unsigned char out[8];
    CHECK_EQ(base64_decode("TQ==", 4, out, sizeof out), 1u);
    CHECK_EQ(base64_decode("TWE=", 4, out, sizeof out), 2u);
    CHECK_EQ(base64_decode("TWE", 3, out, sizeof out), 2u);
    CHECK_EQ(base64_decode("/+/+", 4, out, sizeof out), 3u);
}

TEST(refuses)
{
    static const char *const bad[] = {"",     "T",    "TWFuT", "TQ==", "TW+u",
                                      "TW/u", "TW u", "TR",    "TWF"};
    unsigned char out[8];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(base64url_decode(bad[i], strlen(bad[i]), out, sizeof out), 0u);
    CHECK_EQ(base64_decode("====", 4, out, sizeof out), 0u);
    CHECK_EQ(base64_decode("_-_-", 4, out, sizeof out), 0u);
    CHECK_EQ(base64url_decode("TWFuTWFuTWFu", 12, out, 8), 0u);
}
