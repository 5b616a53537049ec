/* GET /lb/events: order, limits, waiting. */
#include "tests/unit/admin/fixture.h"

static void write_some(int count)
{
    for (int i = 0; i < count; i++) {
        char object[32];
        snprintf(object, sizeof(object), "thing-%d", i);
        event_write(&fx.table, 0, "test", object, NULL, "up", "because");
    }
}

TEST(events_come_in_order_after_since)
{
    setup();
    uint64_t before = event_last(&fx.table);
    char target[64];
    write_some(3);
    snprintf(target, sizeof(target), "/lb/events?since=%llu", (unsigned long long)before + 1);
    CHECK_EQ(get(target), 200);
    CHECK_LACKS("thing-0");
    CHECK(strstr(fx.text, "thing-1") < strstr(fx.text, "thing-2"));
    CHECK_HAS("\"kind\":\"test\"");
    CHECK_HAS("\"from\":null,\"to\":\"up\",\"reason\":\"because\"");
    CHECK_HAS("\"time\":\"20");
}

TEST(events_are_limited_and_say_where_to_go_on)
{
    setup();
    uint64_t before = event_last(&fx.table);
    char target[64], last[48];
    write_some(5);
    snprintf(target, sizeof(target), "/lb/events?since=%llu&limit=2", (unsigned long long)before);
    CHECK_EQ(get(target), 200);
    CHECK_HAS("thing-1");
    CHECK_LACKS("thing-2");
    snprintf(last, sizeof(last), "\"last\":%llu,\"newest\":%llu", (unsigned long long)before + 2,
             (unsigned long long)before + 5);
    CHECK_HAS(last);
}

TEST(negative_since_counts_from_the_newest)
{
    setup();
    write_some(5);
    CHECK_EQ(get("/lb/events?since=-2"), 200);
    CHECK_LACKS("thing-2");
    CHECK_HAS("thing-3");
    CHECK_HAS("thing-4");
    CHECK_EQ(get("/lb/events?since=-9223372036854775808"), 200);
    CHECK_HAS("thing-0");
}

TEST(since_from_the_future_goes_on_from_here)
{
    char last[48];
    setup();
    write_some(2);
    CHECK_EQ(get("/lb/events?since=99999"), 200);
    CHECK_LACKS("thing-1");
    snprintf(last, sizeof(last), "\"last\":%llu,", (unsigned long long)event_last(&fx.table));
    CHECK_HAS(last);
}

TEST(nonsense_is_refused)
{
    static const char *const bad[] = {"since=x",  "limit=0",
                                      "limit=-1", "limit=4097",
                                      "limit=",   "wait=x",
                                      "wait=61s", "wait=-1",
                                      "wait=5m",  "wait=99999999999999999999"};
    setup();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char target[96];
        snprintf(target, sizeof(target), "/lb/events?%s", bad[i]);
        CHECK_EQ(get(target), 400);
    }
}

TEST(waiting_is_deferred_only_while_there_is_nothing)
{
    char target[64];
    setup();
    write_some(1);
    CHECK_EQ(get("/lb/events?since=0&wait=5s"), 200);
    CHECK_EQ(fx.response.wait, RESPONSE_NOW);
    snprintf(target, sizeof(target), "/lb/events?wait=500ms&since=%llu",
             (unsigned long long)event_last(&fx.table));
    CHECK_EQ(get(target), 200);
    CHECK_EQ(fx.response.wait, RESPONSE_WAIT_EVENTS);
    CHECK_EQ(fx.response.wait_ms, 500);
    write_some(1);
    CHECK_EQ(get(target), 200);
    CHECK_EQ(fx.response.wait, RESPONSE_NOW);
    CHECK_HAS("thing-0");
}

TEST(nobody_waits_while_draining)
{
    setup();
    fx.api.draining = true;
    CHECK_EQ(get("/lb/events?since=99999&wait=5s"), 200);
    CHECK_EQ(fx.response.wait, RESPONSE_NOW);
}
