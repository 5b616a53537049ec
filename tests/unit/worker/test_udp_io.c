/* Runs of datagrams that the kernel does not cut leave one by one. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/net.h"
#include "tests/unit/harness.h"
#include "worker/udp_int.h"

#define MANY 200u /* more than any kernel cuts */

static int receiver(struct sockaddr_in *a)
{
    socklen_t len = sizeof *a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *a = (struct sockaddr_in){.sin_family = AF_INET};
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd != -1 && bind(fd, (struct sockaddr *)a, sizeof *a) == 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)a, &len), 0);
    return fd;
}

static int sender(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd != -1);
    CHECK(!to || connect(fd, (const struct sockaddr *)to, sizeof *to) == 0);
    return fd;
}

static void fill(char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)i;
}

/* What was sent, in pieces of `each`. */
static void check_received(int fd, const char *bytes, size_t len, size_t each)
{
    char got[256];
    for (size_t at = 0; at < len; at += each) {
        size_t wanted = len - at < each ? len - at : each;
        CHECK_EQ(recv(fd, got, sizeof got, 0), wanted);
        CHECK(memcmp(got, bytes + at, wanted) == 0);
    }
    CHECK_EQ(recv(fd, got, sizeof got, 0), -1);
}

static void send_and_check(size_t count, size_t each, size_t last)
{
    static char bytes[65536];
    struct sockaddr_in a;
    uint64_t sent = 0;
    size_t len = count * each + last;
    int in = receiver(&a), out = sender(&a);
    fill(bytes, len);
    struct udp_run run = {bytes, len, each};
    CHECK_EQ(udp_run_count(&run), count + (last > 0));
    CHECK_EQ(udp_io_send(out, &run, &sent), 0);
    CHECK_EQ(sent, len);
    check_received(in, bytes, len, each);
    close(in);
    close(out);
}

TEST(a_run_is_cut)
{
    send_and_check(20, 100, 0);
    send_and_check(20, 100, 99);
    send_and_check(1, 100, 1);
    send_and_check(1, 200, 0);
}

TEST(a_run_too_long_to_be_cut_leaves_one_by_one)
{
    send_and_check(MANY, 3, 0);
    send_and_check(MANY, 3, 2);
}

TEST(nobody_there_says_so)
{
    struct sockaddr_in a;
    uint64_t sent = 0;
    char bytes[30] = {0};
    int in = receiver(&a), out = sender(&a);
    close(in);
    struct udp_run run = {bytes, 1, 1};
    CHECK_EQ(udp_io_send(out, &run, &sent), 0);
    run = (struct udp_run){bytes, sizeof bytes, 10};
    CHECK_EQ(udp_io_send(out, &run, &sent), -1); /* the answer to the first */
    CHECK_EQ(run.len, sizeof bytes);
    close(out);
}

TEST(answers_too_many_to_be_cut_leave_one_by_one)
{
    static struct udp u;
    static char bytes[MANY * 3];
    struct sockaddr_in a;
    int in = receiver(&a), out = sender(NULL);
    fill(bytes, sizeof bytes);
    struct udp_key key = {.port = a.sin_port, .family = AF_INET};
    key.from.s6_addr[12] = key.to.s6_addr[12] = 127;
    key.from.s6_addr[15] = key.to.s6_addr[15] = 1;
    u.out = bytes;
    u.outs[0] = (struct udp_out){
        .key = key, .fd = out, .at = 0, .len = sizeof bytes, .each = 3, .count = MANY};
    u.out_count = 1;
    udp_io_flush(&u);
    CHECK_EQ(u.out_count, 0);
    check_received(in, bytes, sizeof bytes, 3);
    close(in);
    close(out);
}
