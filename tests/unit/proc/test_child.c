/* The child side of the life cycle: what each message of the master makes it do. */
#include <fcntl.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "tests/unit/harness.h"
#include "tests/unit/proc/rig.h"

TEST(ready_then_go)
{
    rig_open();
    struct spawn s = rig_spawn();
    rig_start(&s);
    CHECK_EQ(expect(control, CTL_READY).generation, 1);
    CHECK_EQ(witness->starts, 1);
    CHECK_EQ(witness->serves, 0);
    tell(control, CTL_GO, 0);
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->serves, 1);
    CHECK_EQ(witness->conf_generation, 1);
    CHECK_EQ(word_get(&table.slots[3].generation), 1);
}

TEST(refused_start_says_why_and_exits_1)
{
    rig_open();
    witness->refuse_start = true;
    struct spawn s = rig_spawn();
    rig_start(&s);
    CHECK_STR(expect(control, CTL_REFUSED).text, "no luck today");
    CHECK_EQ(WEXITSTATUS(rig_end()), 1);
}

TEST(offer_go_release)
{
    struct bundle second;
    rig_open();
    rig_serve();
    rig_bundle(&second, 2);
    rig_offer(&second, 2);
    CHECK_EQ(expect(control, CTL_READY).generation, 2);
    CHECK_EQ(witness->goes, 0);
    tell(control, CTL_GO, 0);
    CHECK_EQ(expect(control, CTL_RELEASED).generation, 1);
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->offers, 1);
    CHECK_EQ(witness->old_generation, 1);
    CHECK_EQ(witness->conf_generation, 2);
    CHECK_EQ(word_get(&table.slots[3].generation), 2);
}

TEST(many_generations_in_turn)
{
    enum { COUNT = 200 };
    struct bundle b[2] = {{.fd = -1}, {.fd = -1}};
    rig_open();
    rig_serve();
    for (uint32_t g = 2; g < COUNT; g++) {
        bundle_end(&b[g % 2]); /* its place is used again */
        rig_bundle(&b[g % 2], g);
        rig_offer(&b[g % 2], g);
        CHECK_EQ(expect(control, CTL_READY).generation, g);
        tell(control, CTL_GO, 0);
        CHECK_EQ(expect(control, CTL_RELEASED).generation, g - 1);
    }
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->conf_generation, COUNT - 1);
}

TEST(abort_keeps_the_old)
{
    struct bundle second, third;
    rig_open();
    rig_serve();
    rig_bundle(&second, 2);
    rig_offer(&second, 2);
    CHECK_EQ(expect(control, CTL_READY).generation, 2);
    tell(control, CTL_ABORT, 0);
    tell(control, CTL_GO, 0); /* nothing is offered: nothing happens */
    bundle_end(&second);
    rig_bundle(&third, 3);
    rig_offer(&third, 3);
    CHECK_EQ(expect(control, CTL_READY).generation, 3);
    CHECK_EQ(witness->aborts, 1);
    CHECK_EQ(witness->goes, 0);
    tell(control, CTL_GO, 0);
    CHECK_EQ(expect(control, CTL_RELEASED).generation, 1);
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(refused_offer_says_why_and_serves_on)
{
    struct bundle second;
    rig_open();
    rig_serve();
    witness->refuse_offer = true;
    rig_bundle(&second, 2);
    rig_offer(&second, 2);
    struct ctl_msg m = expect(control, CTL_REFUSED);
    CHECK_EQ(m.generation, 2);
    CHECK_STR(m.text, "do not like it");
    tell(control, CTL_ABORT, 0);
    witness->refuse_offer = false;
    rig_offer(&second, 2);
    expect(control, CTL_READY);
    CHECK_EQ(witness->aborts, 0);
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(bundle_that_cannot_be_mapped_is_refused)
{
    struct bundle second;
    rig_open();
    rig_serve();
    rig_bundle(&second, 2);
    second.len_bytes += 4096;
    rig_offer(&second, 2);
    CHECK_STR(expect(control, CTL_REFUSED).text, "cannot map the configuration");
    CHECK_EQ(witness->offers, 0);
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(new_sockets_arrive_at_go_and_unnamed_ones_are_closed)
{
    struct bundle second;
    int fds[2];
    rig_open();
    rig_serve();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ(bundle_begin(&second), 0);
    struct conf *c = ARENA_NEW(&second.arena, struct conf);
    *c = *first.conf;
    c->generation = 2;
    c->listeners = ARENA_NEW(&second.arena, struct conf_listener);
    c->listener_count = 1;
    c->listeners[0].binds = ARENA_NEW(&second.arena, struct conf_bind);
    c->listeners[0].binds[0].id = 41;
    c->listeners[0].bind_count = 1;
    CHECK_EQ(bundle_seal(&second, c), 0);
    struct ctl_msg offer = {.type = CTL_OFFER,
                            .generation = 2,
                            .fd_count = 1,
                            .address = (uint64_t)(uintptr_t)second.address,
                            .len_bytes = second.len_bytes,
                            .root = (uint64_t)(uintptr_t)second.conf};
    struct ctl_msg listens = {.type = CTL_LISTEN, .fd_count = 2, .ids = {41, 42}};
    CHECK_EQ(ctl_send(control, &offer, &second.fd), 0);
    CHECK_EQ(ctl_send(control, &listens, fds), 0);
    close(fds[1]); /* 42: the child's copy is the last one */
    tell(control, CTL_OFFER_END, 0);
    expect(control, CTL_READY);
    tell(control, CTL_GO, 0);
    expect(control, CTL_RELEASED);
    CHECK_EQ(witness->listens, 1);
    char byte;
    CHECK_EQ(read(fds[0], &byte, 1),
             0); /* closed by the child: the configuration does not name it */
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(drain_with_nothing_in_flight_leaves)
{
    rig_open();
    rig_serve();
    tell(control, CTL_DRAIN, 30000);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->drains, 1);
    CHECK_EQ(witness->drain_ms, 30000);
}

TEST(drain_deadline_is_enforced)
{
    rig_open();
    witness->stay_on_drain = true;
    rig_serve();
    uint64_t begin_ms = clock_mono_ms();
    tell(control, CTL_DRAIN, 100);
    CHECK_EQ(rig_end(), 0);
    CHECK(clock_mono_ms() - begin_ms >= 100);
}

TEST(later_drain_message_changes_the_limit)
{
    rig_open();
    witness->stay_on_drain = true;
    rig_serve();
    tell(control, CTL_DRAIN, 0);
    tell(control, CTL_DRAIN, 50);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->drains, 2);
}

TEST(drain_before_go_just_leaves)
{
    rig_open();
    witness->stay_on_drain = true;
    struct spawn s = rig_spawn();
    rig_start(&s);
    expect(control, CTL_READY);
    tell(control, CTL_DRAIN, 0);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->drains, 0);
}

TEST(drain_closes_listening_sockets)
{
    int fds[2];
    rig_open();
    witness->stay_on_drain = true;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct child_listen listen = {.bind_id = 1, .fd = fds[1]};
    struct spawn s = rig_spawn();
    s.listens = &listen;
    s.listen_count = 1;
    rig_start(&s);
    close(fds[1]);
    expect(control, CTL_READY);
    CHECK_EQ(witness->listens, 1);
    tell(control, CTL_GO, 0);
    tell(control, CTL_DRAIN, 0);
    char byte;
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(death_of_the_master_drains_within_the_limit)
{
    rig_open();
    witness->stay_on_drain = true;
    log_set_fd(open(
        "/dev/null",
        O_WRONLY | O_CLOEXEC)); /* the child says what it does: that is not for this terminal */
    rig_serve();
    close(control);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->drains, 1);
    CHECK_EQ(witness->drain_ms, 200); /* the configuration's drain_timeout */
}

TEST(death_of_the_master_limits_an_unlimited_drain)
{
    rig_open();
    witness->stay_on_drain = true;
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    rig_serve();
    tell(control, CTL_DRAIN, 0);
    close(control);
    CHECK_EQ(rig_end(), 0);
    CHECK_EQ(witness->drains, 1);
}

TEST(messages_pass_to_the_role_and_back)
{
    rig_open();
    rig_serve();
    struct ctl_msg m = {.type = CTL_RELOADED, .number = 1};
    snprintf(m.text, sizeof m.text, "the result");
    CHECK_EQ(ctl_send(control, &m, NULL), 0);
    m = expect(control, CTL_RELOAD);
    CHECK_EQ(m.number, 5);
    CHECK_STR(m.text, "again");
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
    CHECK_STR(witness->text, "1 the result");
}

TEST(reopen_changes_the_log)
{
    char text[256] = "";
    int pipe_ends[2];
    rig_open();
    rig_serve();
    CHECK_EQ(pipe(pipe_ends), 0);
    struct ctl_msg m = {.type = CTL_REOPEN, .fd_count = 1};
    CHECK_EQ(ctl_send(control, &m, &pipe_ends[1]), 0);
    CHECK(read(pipe_ends[0], text, sizeof text - 1) > 0);
    CHECK(strstr(text, "written after reopen") != NULL);
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(unknown_message_is_survived)
{
    rig_open();
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    rig_serve();
    tell(control, (enum ctl_type)77, 0);
    tell(control, CTL_READY, 0);
    CHECK_EQ(send(control, "x", 1, 0), 1); /* not even a message */
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(heart_beats)
{
    rig_open();
    rig_serve();
    uint64_t from_us = clock_mono_us(), deadline_ms = clock_mono_ms() + 60000;
    while (slot_heartbeat_age_us(&table, 3, clock_mono_us()) > clock_mono_us() - from_us)
        CHECK(clock_mono_ms() <
              deadline_ms); /* until a beat is younger than the beginning of this loop */
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}
