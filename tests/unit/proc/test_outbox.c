/* The outbox never blocks, never reorders, and keeps descriptors alive that their owner closed
 * meanwhile. */
#include "proc/outbox.h"
#include "tests/unit/harness.h"

static struct ev_loop *loop;
static int ends[2];
static struct outbox box;

static void prepare(void)
{
    loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    CHECK(loop != NULL);
    CHECK_EQ(ctl_pair(ends), 0);
    outbox_init(&box, loop, ends[0]);
}

static void finish(void)
{
    outbox_close(&box);
    ev_loop_destroy(loop);
}

TEST(more_than_the_socket_takes_arrives_in_order)
{
    enum { COUNT = 5000 };
    prepare();
    for (uint32_t i = 0; i < COUNT; i++) {
        struct ctl_msg out = {.type = CTL_GO, .number = i};
        CHECK_EQ(outbox_send(&box, &out, NULL), 0);
    }
    CHECK(box.first != NULL); /* it did not all fit */
    for (uint32_t i = 0; i < COUNT;) {
        struct ctl_msg in;
        int fds[CTL_FDS];
        int got = ctl_recv(ends[1], &in, fds);
        if (got == 1)
            CHECK_EQ(in.number, i++);
        else
            ev_run(loop, EVRUN_ONCE);
    }
    ev_run(loop, EVRUN_NOWAIT);
    CHECK(box.first == NULL);
    CHECK(!ev_is_active(&box.writable));
    finish();
}

TEST(queued_descriptors_are_copies)
{
    struct ctl_msg filler = {.type = CTL_GO}, out = {.type = CTL_LISTEN, .fd_count = 1}, in;
    int pipe_ends[2], fds[CTL_FDS];
    char byte = 'x';
    prepare();
    do {
        CHECK_EQ(outbox_send(&box, &filler, NULL), 0);
    } while (box.first == NULL);
    CHECK_EQ(pipe(pipe_ends), 0);
    CHECK_EQ(write(pipe_ends[1], &byte, 1), 1);
    CHECK_EQ(outbox_send(&box, &out, &pipe_ends[0]), 0);
    close(pipe_ends[0]);
    for (in.type = CTL_GO; in.type == CTL_GO;)
        if (ctl_recv(ends[1], &in, fds) != 1)
            ev_run(loop, EVRUN_ONCE);
    CHECK_EQ(in.type, CTL_LISTEN);
    byte = 0;
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    finish();
}

TEST(dead_peer_is_an_error_and_no_signal)
{
    struct ctl_msg out = {.type = CTL_GO};
    prepare();
    close(ends[1]);
    CHECK_EQ(outbox_send(&box, &out, NULL), -1);
    CHECK_EQ(errno, EPIPE);
    finish();
}

TEST(peer_that_dies_with_a_full_queue_ends_the_waiting)
{
    struct ctl_msg out = {.type = CTL_GO};
    prepare();
    do {
        CHECK_EQ(outbox_send(&box, &out, NULL), 0);
    } while (box.first == NULL);
    close(ends[1]);
    while (box.first != NULL)
        ev_run(loop, EVRUN_ONCE);
    CHECK(!ev_is_active(&box.writable));
    finish();
}
