/* Who takes connections over believes nothing that does not look like a record of its own version,
 * and who gives them takes back what is not answered. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "proc/control.h"
#include "tests/unit/harness.h"
#include "worker/conn.h"
#include "worker/handover_int.h"

static int ends[2];
static struct worker *w;
static struct table table;
static struct conf conf;
static struct conf_listener listener;
static struct gen gen;

static void make_worker(void)
{
    char why[256];
    w = calloc(1, sizeof *w);
    static struct child child;
    CHECK_EQ(table_create(&table, "", why, sizeof why), 0);
    table_lock(&table);
    listener.row = listener_add(&table, "web");
    table_unlock(&table);
    CHECK_EQ(slot_claim(&table, 0, SLOT_WORKER, 0), 0);
    listener.name = "web";
    listener.timeouts.idle_ms = 60000;
    conf.listeners = &listener;
    conf.listener_count = 1;
    gen.conf = &conf;
    gen.refs = 1;
    gen.by_row[listener.row] = &listener;
    *w = (struct worker){.child = &child, .table = &table, .gen = &gen};
    w->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    slab_init(&w->conn_slab, sizeof(struct conn));
    CHECK_EQ(ctl_pair(ends), 0);
}

static void end_worker(void)
{
    ev_loop_destroy(w->loop);
    slab_free_all(&w->conn_slab);
    buf_pool_free(&w->bufs);
    table_unlink(&table);
    table_close(&table);
    free(w);
}

static int write_bytes(const void *bytes, size_t len)
{
    char copy[4096];
    memcpy(copy, bytes, len);
    struct iovec part = {copy, len};
    return ctl_send_parts(ends[1], &part, 1, NULL, 0);
}

/* The other end is closed by who refuses to read on. */
static bool is_closed(void)
{
    char byte;
    return recv(ends[1], &byte, 1, MSG_DONTWAIT) == 0;
}

static void refuses(const void *bytes, size_t len)
{
    make_worker();
    handover_receive(w, ends[0]);
    CHECK_EQ(write_bytes(bytes, len), 0);
    ev_run(w->loop, EVRUN_NOWAIT);
    CHECK(is_closed());
    CHECK_EQ(w->conn_count, 0);
    end_worker();
}

static struct handover_record record(void)
{
    return (struct handover_record){.magic = HANDOVER_MAGIC,
                                    .version = HANDOVER_VERSION,
                                    .record_bytes = sizeof(struct handover_record)};
}

TEST(garbage_is_refused)
{
    refuses("x", 1);
}

TEST(another_version_is_refused)
{
    struct handover_record r = record();
    r.version++;
    refuses(&r, sizeof r);
}

TEST(another_size_is_refused)
{
    struct handover_record r = record();
    r.record_bytes += 8;
    refuses(&r, sizeof r);
}

TEST(bytes_that_did_not_come_are_refused)
{
    struct handover_record r = record();
    r.in_bytes = 100;
    refuses(&r, sizeof r);
}

TEST(counts_that_wrap_around_are_refused)
{
    struct handover_record r = record();
    r.in_bytes = UINT32_MAX - 3;
    r.tunnel.to_client_bytes = 4;
    refuses(&r, sizeof r);
}

/* Without its descriptor, and of a listener that is not there: said no to, one by one. */
TEST(what_cannot_be_placed_is_answered)
{
    struct handover_record r = record();
    struct handover_answer a;
    make_worker();
    handover_receive(w, ends[0]);
    for (r.id = 7; r.id < 9; r.id++)
        CHECK_EQ(write_bytes(&r, sizeof r), 0);
    ev_run(w->loop, EVRUN_NOWAIT);
    for (uint64_t id = 7; id < 9; id++) {
        CHECK_EQ(recv(ends[1], &a, sizeof a, MSG_DONTWAIT), (ssize_t)sizeof a);
        CHECK_EQ(a.id, id);
        CHECK(!a.taken);
    }
    CHECK(!is_closed());
    close(ends[1]);
    ev_run(w->loop, EVRUN_NOWAIT);
    end_worker();
}

/* ---- the other side ---- */

static struct conn *hand_one(int *client)
{
    int pair[2];
    make_worker();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *client = pair[1];
    struct conn *c = conn_take_over(w, pair[0], &listener, 0);
    CHECK(c != NULL);
    handover_begin(w, ends[0]);
    w->draining = true;
    CHECK(handover_keeps(c));
    handover_all(w);
    CHECK_EQ(c->state, CONN_HANDED);
    return c;
}

static void read_record(void)
{
    struct handover_record r;
    int fds[CTL_FDS];
    uint32_t count;
    CHECK_EQ(ctl_recv_bytes(ends[1], &r, sizeof r, fds, &count), (ssize_t)sizeof r);
    CHECK_EQ(r.id, 1);
    CHECK_EQ(count, 1);
    ctl_close_fds(fds, count);
}

TEST(an_heir_that_goes_away_gets_nothing)
{
    int client;
    struct conn *c = hand_one(&client);
    close(ends[1]);
    ev_run(w->loop, EVRUN_NOWAIT);
    CHECK(w->handover == NULL);
    CHECK_EQ(c->state, CONN_IDLE);
    CHECK(c->draining && conn_must_go(c));
    CHECK_EQ(slot_clients(&table), 1);
    conn_close(c, "end");
    CHECK_EQ(slot_clients(&table), 0);
    close(client);
    slab_put(&w->conn_slab, c);
    end_worker();
}

TEST(an_answer_that_was_not_asked_for_ends_it)
{
    int client;
    struct conn *c = hand_one(&client);
    struct handover_answer a = {.id = 2, .taken = true};
    read_record();
    CHECK_EQ(write_bytes(&a, sizeof a), 0);
    ev_run(w->loop, EVRUN_NOWAIT);
    CHECK(w->handover == NULL);
    CHECK_EQ(c->state, CONN_IDLE);
    conn_close(c, "end");
    close(client);
    slab_put(&w->conn_slab, c);
    end_worker();
}

TEST(what_is_taken_is_forgotten)
{
    int client;
    struct conn *c = hand_one(&client);
    struct handover_answer a = {.id = 1, .taken = true};
    read_record();
    CHECK_EQ(write_bytes(&a, sizeof a), 0);
    ev_run(w->loop, EVRUN_NOWAIT);
    CHECK_EQ(c->state, CONN_CLOSED);
    CHECK_EQ(w->conn_count, 0);
    CHECK_EQ(slot_clients(&table), 0);
    CHECK(w->handover != NULL);
    close(ends[1]);
    ev_run(w->loop, EVRUN_NOWAIT);
    CHECK(w->handover == NULL);
    close(client);
    slab_put(&w->conn_slab, c);
    end_worker();
}
