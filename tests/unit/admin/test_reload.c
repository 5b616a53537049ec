/* POST /lb/reload: rounds, and what becomes of the master's answer. */
#include "tests/unit/admin/fixture.h"

#include <sys/mman.h>

TEST(the_master_is_asked_once_per_round)
{
    uint32_t round, lost;
    setup();
    CHECK_EQ(post("/lb/reload", ""), 0); /* no answer yet */
    CHECK_EQ(fx.response.wait, RESPONSE_WAIT_RELOAD);
    uint32_t first = fx.response.ticket;
    CHECK_EQ(fx.asked, 1);
    post("/lb/reload", "");
    uint32_t second = fx.response.ticket;
    post("/lb/reload", "");
    CHECK_EQ(fx.response.ticket, second);
    CHECK(second != first);
    CHECK_EQ(fx.asked, 1);
    CHECK(reload_end(&fx.reload, &round, &lost));
    CHECK_EQ(round, first);
    CHECK_EQ(lost, 0);
    CHECK_EQ(fx.asked, 2); /* the next round began */
    CHECK(reload_end(&fx.reload, &round, &lost));
    CHECK_EQ(round, second);
    CHECK_EQ(fx.asked, 2);
    CHECK(!reload_end(&fx.reload, &round, &lost)); /* unasked */
}

TEST(a_master_that_cannot_be_asked_is_told)
{
    uint32_t round, lost;
    setup();
    fx.ask_result = -1;
    CHECK_EQ(post("/lb/reload", ""), 503);
    fx.ask_result = 0;
    post("/lb/reload", "");
    post("/lb/reload", "");
    uint32_t second = fx.response.ticket;
    fx.ask_result = -1;
    CHECK(reload_end(&fx.reload, &round, &lost));
    CHECK_EQ(lost, second);
    fx.ask_result = 0;
    post("/lb/reload", "");
    CHECK_EQ(fx.response.wait, RESPONSE_WAIT_RELOAD);
    fx.api.draining = true;
    CHECK_EQ(post("/lb/reload", ""), 503);
}

static const char *answer(uint32_t result, const char *text)
{
    size_t len;
    response_free(&fx.response);
    response_init(&fx.response);
    reload_answer(&fx.response, result, 9, text);
    return response_body(&fx.response, &len);
}

TEST(success_lists_the_changes)
{
    CHECK_STR(answer(0, "[\"a\",\"b\"]"), "{\"generation\":9,\"changes\":[\"a\",\"b\"]}");
    CHECK_EQ(fx.response.status, 200);
    CHECK_STR(answer(0, "{\"changes\":[\"a\"],\"overrides\":[\"b\"]}"),
              "{\"generation\":9,\"changes\":[\"a\"],\"overrides\":[\"b\"]}");
    CHECK_STR(answer(0, "line 1\n\nline 2\n"),
              "{\"generation\":9,\"changes\":[\"line 1\",\"line 2\"]}");
    CHECK_STR(answer(0, ""), "{\"generation\":9,\"changes\":[]}");
    CHECK_STR(answer(0, "[]"), "{\"generation\":9,\"changes\":[]}");
    response_free(&fx.response);
}

TEST(refusal_lists_the_errors)
{
    const char *text = answer(1, "[\"f:3: error: x\"]");
    CHECK_EQ(fx.response.status, 422);
    CHECK(strstr(text, "\"errors\":[\"f:3: error: x\"]"));
    CHECK(strstr(text, "\"error\":\""));
    CHECK_STR(fx.response.content_type, "application/problem+json");
    response_free(&fx.response);
}

TEST(long_answers_come_in_a_descriptor)
{
    int fd = memfd_create("answer", MFD_CLOEXEC);
    static char big[100000];
    memset(big, 'x', sizeof(big));
    CHECK_EQ(write(fd, big, sizeof(big)),
             (long long)sizeof(big)); /* the offset is at the end now */
    char *text = reload_text("", fd);
    CHECK_EQ(strlen(text), sizeof(big));
    free(text);
    text = reload_text("short", -1);
    CHECK_STR(text, "short");
    free(text);
    CHECK_EQ(close(fd), 0); /* still ours */
}
