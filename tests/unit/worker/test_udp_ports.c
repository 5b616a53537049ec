#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/unit/harness.h"
#include "worker/udp_ports.h"

#define TARGETS 3
#define EACH    1500

struct opened {
    int fd;
    uint16_t port;
    uint64_t pair;
};
static struct opened all[TARGETS][EACH];

static struct net_addr target(unsigned i)
{
    struct net_addr a = {.len_bytes = sizeof a.u.in};
    a.u.in.sin_family = AF_INET;
    a.u.in.sin_port = htons((uint16_t)(2000 + i)); /* nobody has to be there */
    a.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void open_one(struct udp_ports *p, unsigned t, unsigned i)
{
    struct net_addr to = target(t), own = {.len_bytes = sizeof own.u};
    struct opened *o = &all[t][i];
    o->fd = udp_ports_open(p, &to, true, &o->pair);
    CHECK(o->fd != -1 && o->pair != 0);
    CHECK_EQ(getsockname(o->fd, &own.u.sa, &own.len_bytes), 0);
    o->port = net_addr_port(&own);
}

static void close_one(struct udp_ports *p, unsigned t, unsigned i)
{
    close(all[t][i].fd);
    udp_ports_close(p, all[t][i].pair);
}

/* No backend sees one port twice; returns how many ports there are. */
static unsigned check_ports(void)
{
    static uint8_t seen[65536];
    unsigned ports = 0;
    for (unsigned i = 0; i < 65536; i++)
        seen[i] = 0;
    for (unsigned t = 0; t < TARGETS; t++)
        for (unsigned i = 0; i < EACH; i++) {
            CHECK(!(seen[all[t][i].port] & 1u << t));
            ports += seen[all[t][i].port] == 0;
            seen[all[t][i].port] |= (uint8_t)(1u << t);
        }
    return ports;
}

TEST(ports_are_shared_between_backends_and_never_within_one)
{
    struct udp_ports p = {0};
    struct rlimit most;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &most), 0);
    most.rlim_cur = most.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &most), 0);
    if (most.rlim_cur < TARGETS * EACH + 100)
        return;
    for (unsigned i = 0; i < EACH; i++)
        for (unsigned t = 0; t < TARGETS; t++)
            open_one(&p, t, i);
    unsigned ports = check_ports();
    CHECK(ports < TARGETS * EACH * 2 / 3);
    CHECK_EQ(p.count, ports);
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned t = (unsigned)rand() % TARGETS, i = (unsigned)rand() % EACH;
        close_one(&p, t, i);
        open_one(&p, t, i);
    }
    CHECK_EQ(p.count, check_ports());
    for (unsigned t = 0; t < TARGETS; t++)
        for (unsigned i = 0; i < EACH; i++)
            close_one(&p, t, i);
    CHECK_EQ(p.count, 0);
    CHECK_EQ(p.pair_count, 0);
    free(p.pairs);
    free(p.refs);
}

TEST(few_sessions_leave_ports_to_the_kernel)
{
    struct udp_ports p = {0};
    struct net_addr to = target(0);
    uint64_t pair = 1;
    int fd = udp_ports_open(&p, &to, false, &pair);
    CHECK(fd != -1);
    CHECK_EQ(pair, 0);
    close(fd);
    udp_ports_close(&p, pair);
    CHECK_EQ(p.count, 0);
}
