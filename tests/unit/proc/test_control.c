/* The control channel: one message is one record, descriptors travel with it, nothing malformed
 * gets through. */
#include <fcntl.h>
#include <sys/socket.h>
#include "proc/control.h"
#include "tests/unit/harness.h"

static int ends[2];

static void open_pair(void)
{
    CHECK_EQ(ctl_pair(ends), 0);
}

TEST(message_arrives_whole)
{
    struct ctl_msg out = {.type = CTL_OFFER, .generation = 7, .number = 3, .address = 1ull << 40};
    struct ctl_msg in;
    int fds[CTL_FDS];
    open_pair();
    snprintf(out.text, sizeof out.text, "text");
    CHECK_EQ(ctl_send(ends[0], &out, NULL), 0);
    CHECK_EQ(ctl_recv(ends[1], &in, fds), 1);
    CHECK_EQ(in.type, CTL_OFFER);
    CHECK_EQ(in.generation, 7);
    CHECK_EQ(in.number, 3);
    CHECK_EQ(in.address, 1ull << 40);
    CHECK_STR(in.text, "text");
    CHECK_EQ(in.fd_count, 0);
}

TEST(nothing_there_is_eagain)
{
    struct ctl_msg in;
    int fds[CTL_FDS];
    open_pair();
    CHECK_EQ(ctl_recv(ends[1], &in, fds), -1);
    CHECK_EQ(errno, EAGAIN);
}

TEST(all_descriptors_arrive_in_order)
{
    struct ctl_msg out = {.type = CTL_LISTEN, .fd_count = CTL_FDS}, in;
    int sent[CTL_FDS], got[CTL_FDS];
    open_pair();
    for (uint32_t i = 0; i < CTL_FDS; i++) {
        char byte = (char)('a' + i);
        int pipe_ends[2];
        CHECK_EQ(pipe(pipe_ends), 0);
        CHECK_EQ(write(pipe_ends[1], &byte, 1), 1);
        sent[i] = pipe_ends[0];
        out.ids[i] = 100 + i;
    }
    CHECK_EQ(ctl_send(ends[0], &out, sent), 0);
    CHECK_EQ(ctl_recv(ends[1], &in, got), 1);
    CHECK_EQ(in.fd_count, CTL_FDS);
    for (uint32_t i = 0; i < CTL_FDS; i++) {
        char byte = 0;
        CHECK_EQ(in.ids[i], 100 + i);
        CHECK_EQ(read(got[i], &byte, 1), 1);
        CHECK_EQ(byte, 'a' + (char)i);
        CHECK(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
    }
}

TEST(too_many_descriptors_are_refused)
{
    struct ctl_msg out = {.type = CTL_LISTEN, .fd_count = CTL_FDS + 1};
    int fds[CTL_FDS + 1] = {0};
    open_pair();
    CHECK_EQ(ctl_send(ends[0], &out, fds), -1);
    CHECK_EQ(errno, EINVAL);
}

TEST(close_is_end_of_file)
{
    struct ctl_msg in;
    int fds[CTL_FDS];
    open_pair();
    close(ends[0]);
    CHECK_EQ(ctl_recv(ends[1], &in, fds), 0);
}

TEST(death_with_unread_messages_is_end_of_file)
{
    struct ctl_msg out = {.type = CTL_GO}, in;
    int fds[CTL_FDS];
    open_pair();
    CHECK_EQ(ctl_send(ends[1], &out, NULL), 0);
    close(ends[0]); /* with a message in its queue */
    CHECK_EQ(ctl_recv(ends[1], &in, fds), 0);
}

TEST(what_was_said_before_death_is_heard)
{
    struct ctl_msg out = {.type = CTL_REFUSED}, in;
    int fds[CTL_FDS];
    open_pair();
    CHECK_EQ(ctl_send(ends[0], &out, NULL), 0);
    close(ends[0]);
    CHECK_EQ(ctl_recv(ends[1], &in, fds), 1);
    CHECK_EQ(in.type, CTL_REFUSED);
    CHECK_EQ(ctl_recv(ends[1], &in, fds), 0);
}

TEST(short_record_is_refused)
{
    struct ctl_msg in;
    int fds[CTL_FDS];
    open_pair();
    CHECK_EQ(send(ends[0], "short", 5, 0), 5);
    CHECK_EQ(ctl_recv(ends[1], &in, fds), -1);
    CHECK_EQ(errno, EBADMSG);
}

TEST(wrong_descriptor_count_is_refused)
{
    struct ctl_msg out = {.type = CTL_LISTEN, .fd_count = 2}, in;
    int fds[CTL_FDS];
    open_pair();
    CHECK_EQ(send(ends[0], &out, sizeof out, 0), (ssize_t)sizeof out); /* says two, carries none */
    CHECK_EQ(ctl_recv(ends[1], &in, fds), -1);
    CHECK_EQ(errno, EBADMSG);
}

TEST(text_is_always_terminated)
{
    struct ctl_msg out = {.type = CTL_REFUSED}, in;
    int fds[CTL_FDS];
    open_pair();
    memset(out.text, 'x', sizeof out.text);
    CHECK_EQ(ctl_send(ends[0], &out, NULL), 0);
    CHECK_EQ(ctl_recv(ends[1], &in, fds), 1);
    CHECK_EQ(strlen(in.text), sizeof in.text - 1);
}

TEST(full_queue_is_eagain)
{
    struct ctl_msg out = {.type = CTL_GO};
    unsigned sent = 0;
    open_pair();
    while (ctl_send(ends[0], &out, NULL) == 0)
        sent++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(sent > 16);
}

TEST(every_type_has_a_name)
{
    for (uint32_t type = CTL_READY; type <= CTL_RELOADED; type++)
        CHECK(strcmp(ctl_type_name(type), "unknown") != 0);
    CHECK_STR(ctl_type_name(0), "unknown");
    CHECK_STR(ctl_type_name(12345), "unknown");
}
