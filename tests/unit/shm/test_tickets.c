#include "tests/unit/harness.h"

#include "shm/tickets.h"

TEST(without_a_ring_there_is_no_key)
{
    struct ticket_key k;
    CHECK(!tickets_newest(&k));
}

TEST(a_key_opens_for_two_rotations_more)
{
    struct ticket_key first, k;
    bool newest = false;
    CHECK_EQ(tickets_create(), 0);
    CHECK(tickets_newest(&first));
    CHECK(tickets_find(first.name, &k, &newest) && newest);
    CHECK(memcmp(&first, &k, sizeof k) == 0);
    for (int i = 0; i < 2; i++) {
        tickets_rotate();
        CHECK(tickets_find(first.name, &k, &newest));
        CHECK(!newest && memcmp(&first, &k, sizeof k) == 0);
    }
    tickets_rotate();
    CHECK(!tickets_find(first.name, &k, &newest));
}

TEST(a_successor_sees_the_same_keys)
{
    struct ticket_key before, after;
    CHECK_EQ(tickets_create(), 0);
    CHECK(tickets_newest(&before));
    CHECK_EQ(tickets_adopt(tickets_fd()), 0);
    CHECK(tickets_newest(&after));
    CHECK(memcmp(&before, &after, sizeof after) == 0);
}

TEST(wiped_keys_are_gone)
{
    struct ticket_key k, old;
    bool newest = false;
    CHECK_EQ(tickets_create(), 0);
    CHECK(tickets_newest(&old));
    tickets_wipe();
    CHECK(!tickets_newest(&k));
    CHECK(!tickets_find(old.name, &k, &newest));
}
