/*
 * tests/unit/broker/rig.h: the broker without its master: a table, a configuration of two pools, a
 * struct child and a listening socket by hand. child_release and child_exit, which belong to
 * proc/child.c, are played here. For unit tests and for tests/fuzz/fuzz_broker.c.
 */
#ifndef BALLAST_TESTS_BROKER_RIG_H
#define BALLAST_TESTS_BROKER_RIG_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "broker/broker_int.h"
#include "shm/breaker.h"
#include "shm/pool.h"

#define RIG_POOLS   2u
#define RIG_ENTRIES 3u
#define RIG_LIMIT   5u  /* of the first backend */
#define RIG_EACH    12u /* places of one client */
#define RIG_LEASES  4u

struct rig {
    struct table table;
    struct child child;
    struct conf conf;
    struct conf_pool pools[RIG_POOLS];
    struct conf_breaker breaker;
    struct child_listen listen;
    struct sockaddr_un name;
    socklen_t name_len;
    uint32_t entries[RIG_ENTRIES];
};
static struct rig rig;

void child_release(struct child *c, const struct conf *old)
{
    (void)c, (void)old;
}

void child_exit(struct child *c)
{
    free(c->data);
    c->data = NULL;
}

static inline struct broker *rig_broker(void)
{
    return rig.child.data;
}

static inline uint32_t rig_entry(uint32_t pool, const char *name, uint32_t limit)
{
    struct entry_spec spec = {.name = name,
                              .endpoint = "127.0.0.1:9",
                              .weight = 1,
                              .max_connections = limit,
                              .origin = ORIGIN_CONF};
    table_lock(&rig.table);
    uint32_t entry = entry_add(&rig.table, pool, &spec);
    table_unlock(&rig.table);
    assert(entry != INDEX_NONE);
    return entry;
}

/* Two backends in the first pool, with a breaker; one in the second. */
static inline void rig_table(void)
{
    char why[256];
    int rc = table_create(&rig.table, "/etc/test.conf", why, sizeof why);
    assert(rc == 0);
    table_unlink(&rig.table);
    rc = slot_claim(&rig.table, SLOT_BROKER_INDEX, SLOT_BROKER, 0);
    assert(rc == 0);
    for (uint32_t i = 0; i < RIG_POOLS; i++) {
        table_lock(&rig.table);
        rig.pools[i].row = pool_add(&rig.table, i ? "other" : "app");
        table_unlock(&rig.table);
        assert(rig.pools[i].row < POOL_MAX);
    }
    rig.entries[0] = rig_entry(rig.pools[0].row, "a", RIG_LIMIT);
    rig.entries[1] = rig_entry(rig.pools[0].row, "b", 0);
    rig.entries[2] = rig_entry(rig.pools[1].row, "c", 0);
}

static inline void rig_conf(void)
{
    rig.breaker = (struct conf_breaker){
        .failure_threshold = 3, .success_threshold = 2, .timeout_ms = 3600000};
    rig.pools[0].breaker = &rig.breaker;
    rig.pools[0].passive.max_fails = 2;
    rig.pools[0].passive.fail_timeout_ms = 1;
    rig.conf = (struct conf){.pools = rig.pools,
                             .pool_count = RIG_POOLS,
                             .client_leases = RIG_LEASES,
                             .client_lease_connections = RIG_EACH,
                             .client_reports = true};
}

static inline void rig_listen(void)
{
    rig.name = (struct sockaddr_un){.sun_family = AF_UNIX};
    rig.name_len = sizeof rig.name;
    rig.listen.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = bind(rig.listen.fd, (struct sockaddr *)&rig.name, sizeof(sa_family_t));
    assert(rc == 0);
    rc = listen(rig.listen.fd, 64);
    assert(rc == 0);
    rc = getsockname(rig.listen.fd, (struct sockaddr *)&rig.name, &rig.name_len);
    assert(rc == 0);
}

/* Another broker, after the one before has left. */
static inline void rig_begin(void)
{
    char why[256];
    int rc = broker_role.start(&rig.child, why, sizeof why);
    assert(rc == 0);
    broker_role.serve(&rig.child);
}

static inline void rig_end(void)
{
    broker_role.drain(&rig.child, 0);
    assert(rig.child.data == NULL);
}

static inline void rig_make(void)
{
    rig_table();
    rig_conf();
    rig_listen();
    rig.child = (struct child){.role = &broker_role,
                               .loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV),
                               .table = &rig.table,
                               .slot = SLOT_BROKER_INDEX,
                               .conf = &rig.conf,
                               .listens = &rig.listen,
                               .listen_count = 1};
    assert(rig.child.loop);
    rig_begin();
}

/* Everything that was sent is read. */
static inline void rig_turn(void)
{
    for (int i = 0; i < 4; i++)
        ev_run(rig.child.loop, EVRUN_NOWAIT);
}

static inline int rig_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert(fd != -1);
    if (connect(fd, (struct sockaddr *)&rig.name, rig.name_len) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline void rig_say(int fd, struct purse_question q)
{
    q.magic = PURSE_MAGIC;
    q.version = TABLE_VERSION;
    (void)!send(fd, &q, sizeof q, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends something with descriptors: pipes. */
static inline bool rig_send_fd(int fd, const void *bytes, size_t len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    struct msghdr h = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = space.bytes,
                       .msg_controllen = sizeof space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) != -1;
}

/* The answer, or false. *got: the descriptor that came with it, the caller's, or -1. */
static inline bool rig_hear(int fd, struct purse_answer *a, int *got)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct iovec part = {a, sizeof *a};
    struct msghdr h = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = space.bytes,
                       .msg_controllen = sizeof space};
    ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&h) : NULL;
    *got = -1;
    if (c)
        memcpy(got, CMSG_DATA(c), sizeof *got);
    return n == (ssize_t)sizeof *a;
}

#endif
