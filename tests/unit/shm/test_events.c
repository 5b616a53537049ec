/* The flight recorder: order, wrap, concurrent writers, a writer killed half-way. */
#include "tests/unit/shm/fixture.h"

#include "base/clock.h"
#include "base/log.h"
#include "shm/events.h"

static struct event_copy got[EVENT_MAX + 1];

static struct table *quiet_table(void)
{
    log_set_level(LOG_LEVEL_WARNING); /* each event is also a log line */
    return make_table();
}

TEST(written_and_read)
{
    struct table *t = quiet_table();
    CHECK_EQ(event_last(t), 0);
    CHECK_EQ(event_read(t, 0, got, 10), 0);
    uint64_t before_ms = clock_wall_ms();
    event_write(t, INDEX_NONE, "start", "instance", NULL, NULL, NULL);
    event_write(t, 3, "health", "app:b1", "unknown", "healthy", "2 checks passed");
    CHECK_EQ(event_last(t), 2);
    CHECK_EQ(event_read(t, 0, got, 10), 2);
    CHECK_EQ(got[0].seq, 1);
    CHECK_STR(got[0].kind, "start");
    CHECK_STR(got[0].from, "");
    CHECK_EQ(got[0].slot, INDEX_NONE);
    CHECK_EQ(got[1].seq, 2);
    CHECK_STR(got[1].object, "app:b1");
    CHECK_STR(got[1].from, "unknown");
    CHECK_STR(got[1].to, "healthy");
    CHECK_STR(got[1].reason, "2 checks passed");
    CHECK_EQ(got[1].slot, 3);
    CHECK(got[1].wall_ms >= before_ms && got[1].wall_ms <= clock_wall_ms());
    CHECK_EQ(event_read(t, 1, got, 10), 1);
    CHECK_EQ(got[0].seq, 2);
    CHECK_EQ(event_read(t, 2, got, 10), 0);
    CHECK_EQ(event_read(t, 99, got, 10), 0);
    CHECK_EQ(event_read(t, 0, got, 1), 1);
    CHECK_EQ(got[0].seq, 1);
}

TEST(long_texts_are_cut)
{
    struct table *t = quiet_table();
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    event_write(t, 0, text, text, text, text, text);
    CHECK_EQ(event_read(t, 0, got, 1), 1);
    CHECK_EQ(strlen(got[0].kind), 23);
    CHECK_EQ(strlen(got[0].object), 79);
    CHECK_EQ(strlen(got[0].reason), 143);
}

TEST(the_ring_keeps_the_newest)
{
    struct table *t = quiet_table();
    char object[16];
    for (int i = 1; i <= (int)EVENT_MAX + 100; i++) {
        snprintf(object, sizeof object, "%d", i);
        event_write(t, 0, "test", object, NULL, NULL, NULL);
    }
    CHECK_EQ(event_read(t, 0, got, ARRAY_LEN(got)), EVENT_MAX);
    for (uint32_t i = 0; i < EVENT_MAX; i++) {
        CHECK_EQ(got[i].seq, 101 + i);
        CHECK_EQ(atoi(got[i].object), 101 + i);
    }
    CHECK_EQ(event_read(t, EVENT_MAX + 99, got, 10), 1);
}

/* A writer that drew a number and was killed before it finished. */
static void leave_a_hole(struct table *t)
{
    uint64_t seq = atomic_fetch_add(&t->header->event_next, 1) + 1;
    atomic_store(&t->events[(seq - 1) % EVENT_MAX].stamp, seq * 2 + 1);
}

/* Reads until the newest is among what comes: holes are passed when what follows them is a second
 * old. */
static uint32_t read_all(struct table *t)
{
    for (;;) {
        uint32_t count = event_read(t, 0, got, ARRAY_LEN(got));
        if (count > 0 && got[count - 1].seq == event_last(t))
            return count;
        sched_yield();
    }
}

TEST(a_dead_writers_hole_is_skipped)
{
    struct table *t = quiet_table();
    event_write(t, 0, "test", "1", NULL, NULL, NULL);
    leave_a_hole(t);
    event_write(t, 0, "test", "3", NULL, NULL, NULL);
    CHECK_EQ(read_all(t), 2);
    CHECK_EQ(got[0].seq, 1);
    CHECK_EQ(got[1].seq, 3);
    leave_a_hole(t);
    CHECK_EQ(event_read(t, 3, got, 10), 0);
}

TEST(a_reader_waits_for_a_writer_that_may_be_about_to_finish)
{
    struct table *t = quiet_table();
    for (int i = 0; i < 3; i++)
        event_write(t, 0, "test", "x", NULL, NULL, NULL);
    atomic_store(&t->events[1].stamp, 2 * 2 + 1);
    CHECK_EQ(event_read(t, 0, got, 10), 1);
    CHECK_EQ(got[0].seq, 1);
    atomic_store(&t->events[1].stamp, 2 * 2); /* it finishes */
    CHECK_EQ(event_read(t, 1, got, 10), 2);
    CHECK_EQ(got[0].seq, 2);
}

TEST(a_writer_held_up_for_a_whole_turn_leaves_the_newer_event_alone)
{
    struct table *t = quiet_table();
    atomic_store(&t->header->event_next, EVENT_MAX);
    event_write(t, 0, "test", "newer", NULL, NULL, NULL);
    atomic_store(&t->header->event_next, 0);
    event_write(t, 0, "test", "older", NULL, NULL, NULL);
    atomic_store(&t->header->event_next, EVENT_MAX + 1);
    CHECK_EQ(event_read(t, EVENT_MAX, got, 1), 1);
    CHECK_STR(got[0].object, "newer");
}

TEST(a_mixture_of_two_events_is_not_shown)
{
    struct table *t = quiet_table();
    event_write(t, 0, "test", "x", NULL, NULL, "reason");
    t->events[0].reason[2] ^= 1;
    CHECK_EQ(event_read(t, 0, got, 1), 0);
    t->events[0].reason[2] ^= 1;
    CHECK_EQ(event_read(t, 0, got, 1), 1);
}

#define WRITERS 4
#define EACH    1000 /* together less than a turn of the ring: all must be there at the end */

static void write_many(uint32_t slot)
{
    char object[16], reason[128];
    for (int i = 0; i < EACH; i++) {
        snprintf(object, sizeof object, "%u", slot);
        memset(reason, 'a' + (int)slot, sizeof reason - 1);
        reason[sizeof reason - 1] = 0;
        event_write(&table, slot, "test", object, NULL, NULL, reason);
    }
}

static void check_whole(const struct event_copy *e)
{
    CHECK_EQ(atoi(e->object), e->slot);
    char letter[2] = {(char)('a' + e->slot), 0};
    CHECK_EQ(strspn(e->reason, letter), 127);
    CHECK_EQ(strlen(e->reason), 127);
}

TEST(concurrent_writers_and_a_reader)
{
    struct table *t = quiet_table();
    for (uint32_t i = 0; i < WRITERS; i++)
        start(write_many, i);
    uint64_t since = 0;
    while (since < WRITERS * EACH) {
        uint32_t count = event_read(t, since, got, 64);
        for (uint32_t i = 0; i < count; i++) {
            CHECK(got[i].seq > since);
            since = got[i].seq;
            check_whole(&got[i]);
        }
    }
    wait_all();
    CHECK_EQ(event_last(t), WRITERS * EACH);
    CHECK_EQ(event_read(t, 0, got, ARRAY_LEN(got)), WRITERS * EACH);
}

static void write_for_ever(uint32_t slot)
{
    for (;;)
        write_many(slot);
}

TEST(killed_writers_leave_nothing_torn)
{
    struct table *t = quiet_table();
    for (uint32_t round = 0; round < 20; round++) {
        uint64_t before = event_last(t);
        pid_t pid = start(write_for_ever, round % WRITERS);
        while (event_last(t) < before + 50)
            sched_yield();
        kill_and_wait(pid);
        event_write(t, 0, "test", "0", NULL, NULL, NULL);
    }
    uint64_t now = event_last(t);
    uint32_t count = read_all(t), kept = now < EVENT_MAX ? (uint32_t)now : EVENT_MAX;
    CHECK(count + 20 >= kept); /* at most one hole per death */
    for (uint32_t i = 0; i < count; i++)
        if (got[i].reason[0])
            check_whole(&got[i]);
    CHECK_EQ(got[count - 1].seq, now);
}

TEST(an_event_is_a_log_line)
{
    struct table *t = make_table();
    int pair[2];
    char line[1024];
    CHECK_EQ(pipe(pair), 0);
    log_set_level(LOG_LEVEL_INFO);
    log_set_fd(pair[1]);
    event_write(t, 0, "health", "app:b1", "unknown", "healthy", "passed");
    ssize_t len = read(pair[0], line, sizeof line - 1);
    CHECK(len > 0);
    line[len] = 0;
    CHECK(
        strstr(line, "event=health object=\"app:b1\" from=unknown to=healthy reason=\"passed\"\n"));
}
