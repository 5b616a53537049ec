/* What the broker does with those who are not the library. */
#include "tests/unit/harness.h"
#include "tests/unit/broker/rig.h"

#include "base/net.h"
#include "shm/loads.h"

static struct purse_answer answer;

static struct purse *greet(int fd)
{
    int got;
    rig_say(fd, (struct purse_question){.type = PURSE_HELLO, .row = INDEX_NONE, .id = 1});
    rig_turn();
    CHECK(rig_hear(fd, &answer, &got) && answer.result == PURSE_GRANTED && got != -1);
    struct purse *p = purse_map(got);
    close(got);
    CHECK(p);
    rig_say(fd, (struct purse_question){.type = PURSE_SETTLED});
    rig_turn();
    CHECK(rig_hear(fd, &answer, &got));
    return p;
}

static struct purse *take(int fd, struct purse *p)
{
    int got;
    uint32_t incarnation = word_get(&entry_at(&rig.table, rig.entries[0])->incarnation);
    rig_say(fd, (struct purse_question){.type = PURSE_TAKE,
                                        .entry = rig.entries[0],
                                        .incarnation = incarnation,
                                        .want = 1});
    rig_turn();
    CHECK(rig_hear(fd, &answer, &got) && answer.result == PURSE_GRANTED);
    CHECK(purse_use(p, rig.entries[0]));
    return p;
}

static bool is_over(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n == -1 && errno != EAGAIN);
}

/* As on a kernel that cannot refuse them. */
static void look_out(void)
{
    int on = 1;
    (void)setsockopt(rig.listen.fd, SOL_SOCKET, 83, &on, sizeof on);
    rig_broker()->looks_out = true;
}

TEST(descriptors_are_not_read)
{
    rig_make();
    look_out();
    int fd = rig_connect(), other = rig_connect();
    take(fd, greet(fd));
    rig_say(fd, (struct purse_question){.type = 77}); /* ends it, and the next is still queued */
    CHECK(rig_send_fd(fd, "x", 1));
    rig_turn();
    CHECK(is_over(fd));
    CHECK_EQ(rig_broker()->connections, 2); /* it is left alone */
    CHECK_EQ(entry_inflight(&rig.table, rig.entries[0]), 1);
    CHECK(rig_send_fd(other, "x", 1));
    rig_turn();
    CHECK(is_over(other));
    CHECK_EQ(rig_broker()->connections, 2);
}

TEST(nonsense_ends_a_connection_that_is_looked_at)
{
    rig_make();
    look_out();
    int fd = rig_connect();
    greet(fd);
    for (int i = 0; i < 5; i++)
        rig_say(fd, (struct purse_question){.type = 77});
    rig_turn();
    CHECK(is_over(fd));
    CHECK_EQ(rig_broker()->connections, 0);
}

static void report(int fd, struct purse *p, uint32_t outcome, uint64_t latency_us)
{
    struct purse_record r = {.entry = rig.entries[0],
                             .incarnation =
                                 word_get(&entry_at(&rig.table, rig.entries[0])->incarnation),
                             .outcome = outcome,
                             .latency_us = latency_us};
    CHECK(purse_report(p, &r));
    rig_say(fd, (struct purse_question){.type = PURSE_LOOK});
    rig_turn();
}

TEST(who_is_not_believed_is_counted_and_no_more)
{
    rig_make();
    rig.conf.client_reports = false;
    table_lock(&rig.table);
    loads_set_kind(&rig.table, rig.pools[0].row, LOADS_LATENCY);
    table_unlock(&rig.table);
    int fd = rig_connect();
    struct purse *p = take(fd, greet(fd));
    const struct entry *e = entry_at(&rig.table, rig.entries[0]);
    report(fd, p, PURSE_FAILURE, 0);
    report(fd, p, PURSE_SUCCESS, 900000);
    CHECK_EQ(count_get(&table_cell(&rig.table, SLOT_BROKER_INDEX, rig.entries[0])->requests), 2);
    CHECK_EQ(count_get(&e->latency), 0); /* workers choose by it */
    rig.conf.client_reports = true;
    report(fd, p, PURSE_SUCCESS, 900000);
    CHECK(count_get(&e->latency) != 0);
}

TEST(tickets_of_places_that_come_back_unused_go_back)
{
    rig_make();
    int fd = rig_connect(), got;
    struct purse *p = greet(fd);
    uint32_t incarnation = word_get(&entry_at(&rig.table, rig.entries[0])->incarnation);
    struct breaker_rule rule = {1, 2, 1};
    CHECK(breaker_failure(&rig.table, rig.entries[0], 0, &rule, 0, 0, "test"));
    for (int i = 0; i < 2; i++) { /* more than there are, were they not given back */
        for (int k = 0; k < 2; k++) {
            rig_say(fd, (struct purse_question){.type = PURSE_TAKE,
                                                .entry = rig.entries[0],
                                                .incarnation = incarnation,
                                                .want = 1});
            rig_turn();
            CHECK(rig_hear(fd, &answer, &got) && answer.result == PURSE_GRANTED && answer.ticket);
        }
        CHECK_EQ(breaker_state(entry_at(&rig.table, rig.entries[0])), BREAKER_HALF_OPEN);
        rig_say(fd, (struct purse_question){.type = PURSE_LOOK});
        rig_turn();
        CHECK_EQ(entry_inflight(&rig.table, rig.entries[0]), 0);
    }
    purse_unmap(p);
}
