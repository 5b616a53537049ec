/* The circuit breaker: every transition, exact tickets over processes, tickets that are lost. */
#include "shm/breaker.h"
#include "shm/events.h"
#include "tests/unit/shm/fixture.h"

static const struct breaker_rule rule = {5, 3, 1000};

static uint32_t make_one(struct table *t)
{
    make_workers(t, 8);
    return make_entry(t, make_pool(t, "app"), "b1", 0);
}

static void fail(struct table *t, uint32_t e, unsigned times, uint64_t now_us)
{
    for (unsigned i = 0; i < times; i++)
        (void)breaker_failure(t, e, 0, &rule, BREAKER_NO_TICKET, now_us, "test");
}

static enum entry_breaker state(struct table *t, uint32_t e)
{
    return breaker_state(entry_at(t, e));
}

static uint64_t tick(struct table *t, uint32_t e, uint64_t now_us)
{
    bool changed = false;
    return breaker_tick(t, e, 0, rule.timeout_ms, now_us, &changed);
}

TEST(failures_in_a_row_open_it)
{
    struct table *t = make_table();
    uint32_t e = make_one(t), ticket;
    fail(t, e, 4, 1000);
    CHECK_EQ(state(t, e), BREAKER_CLOSED);
    CHECK(!breaker_success(t, e, 0, &rule, BREAKER_NO_TICKET));
    fail(t, e, 4, 1000);
    CHECK_EQ(state(t, e), BREAKER_CLOSED);
    CHECK(breaker_admit(t, e, &rule, &ticket));
    fail(t, e, 1, 1000);
    CHECK_EQ(state(t, e), BREAKER_OPEN);
    CHECK(!breaker_admit(t, e, &rule, &ticket));
    CHECK(!entry_usable(entry_at(t, e)));
    CHECK(count_get(&pool_at(t, word_get(&entry_at(t, e)->pool))->recheck_us) == 1001000);
}

TEST(it_opens_half_when_its_time_is_over_and_closes_after_enough_successes)
{
    struct table *t = make_table();
    uint32_t e = make_one(t), ticket[4];
    fail(t, e, 5, 50000);
    CHECK(tick(t, e, 1040000) > 1040000);
    CHECK_EQ(state(t, e), BREAKER_OPEN);
    (void)tick(t, e, 1050000);
    CHECK_EQ(state(t, e), BREAKER_HALF_OPEN);
    CHECK(entry_usable(entry_at(t, e)));
    for (int i = 0; i < 3; i++)
        CHECK(breaker_admit(t, e, &rule, &ticket[i]));
    CHECK(!breaker_admit(t, e, &rule, &ticket[3]));
    CHECK(!breaker_success(t, e, 0, &rule, ticket[0]));
    CHECK(!breaker_success(t, e, 0, &rule, ticket[1]));
    CHECK_EQ(state(t, e), BREAKER_HALF_OPEN);
    CHECK(breaker_success(t, e, 0, &rule, ticket[2]));
    CHECK_EQ(state(t, e), BREAKER_CLOSED);
    fail(t, e, 4, 2000000);
    CHECK_EQ(state(t, e), BREAKER_CLOSED); /* it begins to count at 0 */
}

TEST(one_failed_probe_opens_it_again_and_late_results_count_for_nothing)
{
    struct table *t = make_table();
    uint32_t e = make_one(t), one, two, three;
    fail(t, e, 5, 0);
    (void)tick(t, e, 1000000);
    CHECK(breaker_admit(t, e, &rule, &one) && breaker_admit(t, e, &rule, &two));
    CHECK(breaker_failure(t, e, 0, &rule, one, 1000000, "test"));
    CHECK_EQ(state(t, e), BREAKER_OPEN);
    (void)tick(t, e, 2000000);
    CHECK(breaker_admit(t, e, &rule, &three) && three != two);
    CHECK(!breaker_failure(t, e, 0, &rule, two, 2000000, "test"));
    CHECK(!breaker_success(t, e, 0, &rule, two));
    CHECK(!breaker_failure(t, e, 0, &rule, BREAKER_NO_TICKET, 2000000, "from before it opened"));
    CHECK_EQ(state(t, e), BREAKER_HALF_OPEN);
}

TEST(a_ticket_without_a_verdict_goes_back_and_a_lost_one_is_given_out_anew)
{
    struct table *t = make_table();
    uint32_t e = make_one(t), ticket[3], again;
    fail(t, e, 5, 0);
    (void)tick(t, e, 1000000);
    for (int i = 0; i < 3; i++)
        CHECK(breaker_admit(t, e, &rule, &ticket[i]));
    breaker_return(t, e, ticket[1]);
    CHECK(breaker_admit(t, e, &rule, &again));
    CHECK(!breaker_admit(t, e, &rule, &ticket[1]));
    (void)tick(t, e, 2000000); /* nobody came back */
    CHECK_EQ(state(t, e), BREAKER_HALF_OPEN);
    CHECK(breaker_admit(t, e, &rule, &ticket[0]) && ticket[0] != again);
    breaker_return(t, e, again); /* of before: not one too many */
    CHECK(breaker_admit(t, e, &rule, &again) && breaker_admit(t, e, &rule, &again));
    CHECK(!breaker_admit(t, e, &rule, &again));
}

TEST(tickets_are_exact_over_processes)
{
    struct table *t = make_table();
    uint32_t e = make_one(t);
    fail(t, e, 5, 0);
    (void)tick(t, e, 1000000);
    atom32 *taken = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[8];
    for (int p = 0; p < 8; p++)
        if ((pids[p] = fork()) == 0) {
            uint32_t ticket;
            for (int i = 0; i < 1000; i++)
                if (breaker_admit(t, e, &rule, &ticket))
                    atomic_fetch_add(taken, 1);
            _exit(0);
        }
    for (int p = 0; p < 8; p++)
        CHECK_EQ(waitpid(pids[p], NULL, 0), pids[p]);
    CHECK_EQ(word_get(taken), 3);
}

TEST(transitions_are_events)
{
    struct table *t = make_table();
    uint32_t e = make_one(t);
    struct event_copy out[4];
    fail(t, e, 5, 0);
    CHECK_EQ(event_read(t, 0, out, 4), 1);
    CHECK_STR(out[0].kind, "breaker");
    CHECK_STR(out[0].object, "app:b1");
    CHECK_STR(out[0].from, "closed");
    CHECK_STR(out[0].to, "open");
    breaker_clear(t, e);
    CHECK_EQ(state(t, e), BREAKER_CLOSED);
}
