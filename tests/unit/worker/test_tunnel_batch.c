/* Small chunks of tunnels wait for the end of the turn: whatever happens meanwhile, they arrive
 * whole, in order and before the end; what a socket does not take waits as if it had been tried at
 * once. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/unit/harness.h"
#include "worker/ahead.h"
#include "worker/batch.h"
#include "worker/conn.h"
#include "worker/link.h"
#include "worker/tunnel.h"
#include "worker/txn.h"
#include "worker/upstream.h"

#define CHUNK 4000u

static struct worker *w;
static struct table table;
static struct conf conf;
static struct conf_listener listener;
static struct conf_pool pool_conf;
static struct pool_rt pool = {.conf = &pool_conf};
static struct gen gen;
static uint32_t entry;
static uint64_t held_flushes; /* turns in which something was held */

/* A tunnel, and the two far ends of it. */
struct scene {
    struct txn *t;
    int client, backend;
};

static void make_worker(bool together)
{
    char why[256];
    static struct child child;
    struct entry_spec spec = {.name = "one", .weight = 1};
    w = calloc(1, sizeof *w);
    CHECK_EQ(table_create(&table, "", why, sizeof why), 0);
    table_lock(&table);
    listener.row = listener_add(&table, "raw");
    pool_conf.row = pool_add(&table, "raw");
    entry = entry_add(&table, pool_conf.row, &spec);
    table_unlock(&table);
    CHECK_EQ(slot_claim(&table, 0, SLOT_WORKER, 0), 0);
    listener.name = "raw";
    listener.protocol = CONF_TCP;
    listener.timeouts.idle_ms = 60000;
    listener.access_log.sink = INDEX_NONE;
    conf.listeners = &listener;
    conf.listener_count = 1;
    gen = (struct gen){.conf = &conf, .refs = 1};
    gen.by_row[listener.row] = &listener;
    *w = (struct worker){.child = &child, .table = &table, .gen = &gen};
    w->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    slab_init(&w->conn_slab, sizeof(struct conn));
    slab_init(&w->txn_slab, sizeof(struct txn));
    slab_init(&w->upstream_slab, sizeof(struct upstream));
    ahead_use(w, batch_use(w->loop, together));
}

static void free_retired(void)
{
    for (struct conn *c; (c = w->retired_conns); slab_put(&w->conn_slab, c))
        w->retired_conns = c->next;
    for (struct txn *t; (t = w->retired_txns); slab_put(&w->txn_slab, t))
        w->retired_txns = t->next;
    for (struct upstream *u; (u = w->retired_upstreams); slab_put(&w->upstream_slab, u))
        w->retired_upstreams = u->next;
}

static void end_worker(void)
{
    while (w->conns)
        conn_close(w->conns, "end");
    CHECK_EQ(batch_waiting, 0);
    CHECK_EQ(w->bufs.in_use, 0);
    batch_use(w->loop, false);
    free_retired();
    ev_loop_destroy(w->loop);
    slab_free_all(&w->conn_slab);
    slab_free_all(&w->txn_slab);
    slab_free_all(&w->upstream_slab);
    buf_pool_free(&w->bufs);
    table_unlink(&table);
    table_close(&table);
    free(w);
}

/* Small buffers; returns the near end. */
static int pair(int *far)
{
    int ends[2], bytes = 16384;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    *far = ends[1];
    return ends[0];
}

static struct scene make_tunnel(void)
{
    struct scene s;
    struct conn *c = conn_take_over(w, pair(&s.client), &listener, 0);
    CHECK(c != NULL);
    struct txn *t = s.t = txn_begin(c);
    CHECK(t != NULL);
    t->pool = &pool;
    CHECK(entry_take_over(&table, entry, word_get(&entry_at(&table, entry)->incarnation), 0));
    pool_take_over(&table, pool_conf.row, 0);
    t->entry = entry;
    struct upstream *u = t->up = upstream_new(t, pair(&s.backend));
    CHECK(u != NULL);
    u->connecting = false;
    u->txn = t;
    tunnel_start(t);
    return s;
}

/* One turn: what the last one held leaves, then what came is read. */
static void turn(void)
{
    ev_run(w->loop, EVRUN_NOWAIT);
    held_flushes += batch_waiting > 0;
}

static void write_chunk(int fd, unsigned number)
{
    char bytes[CHUNK];
    memset(bytes, 'a' + (int)(number % 26), sizeof bytes);
    CHECK_EQ(send(fd, bytes, sizeof bytes, MSG_NOSIGNAL), (ssize_t)sizeof bytes);
}

/* The chunks from `first` on are the next bytes; returns how many bytes came. */
static unsigned read_chunks(int fd, unsigned at_byte)
{
    char bytes[65536];
    unsigned total = 0;
    for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) > 0; total += (unsigned)n)
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(bytes[i], 'a' + (at_byte + total + (unsigned)i) / CHUNK % 26);
    return total;
}

static bool at_end(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}

/* Chunks for a reader who does not read, until nothing is taken any more. Returns how many. */
static unsigned block(struct scene s, bool to_client)
{
    unsigned n = 0;
    while (!(to_client ? s.t->rbuf : s.t->conn->in)) {
        CHECK(n < 1000);
        write_chunk(to_client ? s.backend : s.client, n++);
        turn();
        turn();
    }
    return n;
}

/* Reads to the end of what is there, the loop helping. */
static unsigned drain(int fd)
{
    unsigned total = 0;
    for (int i = 0; i < 50; i++) {
        total += read_chunks(fd, total);
        turn();
    }
    return total;
}

TEST(chunks_of_many_tunnels_leave_at_the_end_of_the_turn)
{
    enum { TUNNELS = 20 };
    make_worker(true);
    struct scene s[TUNNELS];
    for (unsigned i = 0; i < TUNNELS; i++)
        s[i] = make_tunnel();
    turn();
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < TUNNELS; i++) {
            write_chunk(s[i].client, 0);
            write_chunk(s[i].backend, 0);
        }
        turn();
        CHECK(batch_waiting > 0);
        turn();
        CHECK_EQ(batch_waiting, 0);
        for (unsigned i = 0; i < TUNNELS; i++) {
            CHECK_EQ(read_chunks(s[i].backend, 0), CHUNK);
            CHECK_EQ(read_chunks(s[i].client, 0), CHUNK);
        }
        CHECK_EQ(w->bufs.in_use, 0);
    }
    CHECK_EQ(s[0].t->bytes_in, 20 * CHUNK);
    CHECK_EQ(s[0].t->bytes_out, 20 * CHUNK);
    end_worker();
}

static void slow_reader(bool to_client, bool with_end)
{
    make_worker(true);
    struct scene s = make_tunnel();
    int from = to_client ? s.backend : s.client, to = to_client ? s.client : s.backend;
    turn();
    unsigned chunks = block(s, to_client);
    CHECK(held_flushes > 0);
    const struct ev_io *full = to_client ? &s.t->conn->io : &s.t->up->io;
    const struct ev_io *source = to_client ? &s.t->up->io : &s.t->conn->io;
    CHECK(full->events & EV_WRITE);
    CHECK(!(ev_is_active(source) && source->events & EV_READ));
    write_chunk(from, chunks++);
    if (with_end)
        CHECK_EQ(shutdown(from, SHUT_WR), 0);
    turn();
    CHECK_EQ(drain(to), chunks * CHUNK);
    CHECK_EQ(at_end(to), with_end);
    CHECK_EQ(to_client ? s.t->bytes_out : s.t->bytes_in, chunks * CHUNK);
    CHECK_EQ(w->bufs.in_use, 0);
    end_worker();
}

TEST(a_client_that_reads_late_gets_everything)
{
    slow_reader(true, false);
}

TEST(a_backend_that_reads_late_gets_everything)
{
    slow_reader(false, false);
}

TEST(the_end_follows_the_bytes_to_the_client)
{
    slow_reader(true, true);
}

TEST(the_end_follows_the_bytes_to_the_backend)
{
    slow_reader(false, true);
}

/* Two readings in one turn: the second time a chunk, or the end. */
static void twice(bool to_client, bool end)
{
    make_worker(true);
    struct scene s = make_tunnel();
    int from = to_client ? s.backend : s.client, to = to_client ? s.client : s.backend;
    turn();
    for (unsigned i = 0; i < 2; i++) {
        if (i == 0 || !end)
            write_chunk(from, i);
        else
            CHECK_EQ(shutdown(from, SHUT_WR), 0);
        if (to_client)
            tunnel_upstream_readable(s.t);
        else
            tunnel_client_readable(s.t);
        CHECK_EQ(batch_waiting, i == 0 || !end ? 1 : 0);
    }
    CHECK_EQ(read_chunks(to, 0), CHUNK);
    CHECK_EQ(at_end(to), end);
    turn();
    CHECK_EQ(read_chunks(to, CHUNK), end ? 0 : CHUNK);
    end_worker();
}

TEST(a_second_chunk_of_a_turn_comes_behind_the_first)
{
    twice(true, false);
    twice(false, false);
}

TEST(an_end_in_the_same_turn_comes_behind_the_chunk)
{
    twice(true, true);
    twice(false, true);
}

TEST(a_tunnel_that_is_closed_sends_first)
{
    for (int how = 0; how < 3; how++) {
        make_worker(true);
        struct scene s = make_tunnel(), other = make_tunnel();
        turn();
        write_chunk(s.client, 0);
        write_chunk(s.backend, 0);
        write_chunk(other.client, 0);
        turn();
        CHECK_EQ(batch_waiting, 3);
        if (how == 0)
            conn_close(s.t->conn, "test");
        else if (how == 1)
            conn_reset(s.t->conn, "test");
        else
            conn_give_up(s.t->conn);
        CHECK_EQ(read_chunks(s.backend, 0), CHUNK);
        CHECK_EQ(read_chunks(s.client, 0), CHUNK);
        CHECK_EQ(read_chunks(other.backend, 0), CHUNK);
        free_retired();
        turn();
        end_worker();
    }
}

TEST(a_tunnel_that_is_closed_forgets_what_nobody_took)
{
    make_worker(true);
    struct scene s = make_tunnel();
    turn();
    (void)block(s, true);
    (void)read_chunks(s.client, 0);
    for (int i = 0; i < 3; i++)
        turn();
    CHECK(!s.t->rbuf);
    unsigned chunks = 0;
    while (batch_waiting == 0) { /* one that will not fit */
        CHECK(chunks < 100);
        write_chunk(s.backend, chunks++);
        ev_run(w->loop, EVRUN_NOWAIT);
        char bytes[512];
        while (send(conn_fd(s.t->conn), bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
            ;
    }
    conn_close(s.t->conn, "test");
    CHECK_EQ(batch_waiting, 0);
    free_retired();
    turn();
    end_worker();
}

TEST(a_backend_that_is_gone_ends_it_as_ever)
{
    make_worker(true);
    struct scene s = make_tunnel();
    turn();
    write_chunk(s.backend, 0); /* said before it went */
    write_chunk(s.client, 0);
    ev_run(w->loop, EVRUN_NOWAIT);
    CHECK_EQ(batch_waiting, 2);
    close(s.backend);
    for (int i = 0; i < 4; i++)
        turn();
    CHECK_EQ(read_chunks(s.client, 0), CHUNK);
    CHECK(at_end(s.client) || errno == ECONNRESET);
    CHECK(!w->conns);
    end_worker();
}

TEST(a_client_that_is_gone_ends_it_as_ever)
{
    make_worker(true);
    struct scene s = make_tunnel();
    turn();
    write_chunk(s.backend, 0);
    write_chunk(s.client, 0);
    ev_run(w->loop, EVRUN_NOWAIT);
    close(s.client);
    for (int i = 0; i < 4; i++)
        turn();
    CHECK_EQ(read_chunks(s.backend, 0), CHUNK);
    CHECK(!w->conns);
    end_worker();
}

/* Its end is found by reading, while a chunk for it waits. */
TEST(a_backend_that_reset_ends_it_as_ever)
{
    make_worker(true);
    struct scene s = make_tunnel();
    turn();
    write_chunk(s.client, 0);
    turn();
    turn(); /* the backend has something that it does not read: it resets */
    write_chunk(s.client, 1);
    turn();
    CHECK_EQ(batch_waiting, 1);
    close(s.backend);
    tunnel_upstream_readable(s.t);
    CHECK_EQ(batch_waiting, 0);
    CHECK(!w->conns);
    free_retired();
    turn();
    end_worker();
}

static struct scene late;

static void on_late(struct ev_loop *loop, struct ev_prepare *watcher, int revents)
{
    (void)loop, (void)revents;
    write_chunk(late.client, 0);
    tunnel_client_readable(late.t);
    CHECK_EQ(batch_waiting, 0);
    CHECK_EQ(read_chunks(late.backend, 0), CHUNK);
    ev_prepare_stop(loop, watcher);
}

/* The loop is about to wait, and would not come back for what is left. */
TEST(nothing_is_held_behind_the_last_flush)
{
    make_worker(false);
    struct ev_prepare watcher;
    ev_prepare_init(&watcher, on_late);
    ev_set_priority(&watcher, EV_MINPRI); /* begun earlier, it runs later */
    ev_prepare_start(w->loop, &watcher);
    batch_use(w->loop, true);
    late = make_tunnel();
    turn();
    CHECK(!ev_is_active(&watcher));
    end_worker();
}

/* As the loop says it, for both ends. */
static void tell_readable(struct scene s)
{
    ev_invoke(w->loop, &s.t->conn->io, EV_READ);
    ev_invoke(w->loop, &s.t->up->io, EV_READ);
}

static void make_three(struct scene *s)
{
    make_worker(true);
    for (unsigned i = 0; i < 3; i++) {
        s[i] = make_tunnel();
        s[i].t->small_in = s[i].t->small_out = true;
        write_chunk(s[i].client, 0);
        write_chunk(s[i].backend, 0);
        tell_readable(s[i]);
    }
    CHECK_EQ(batch_waiting, 0);
    CHECK_EQ(w->bufs.in_use, 0);
    CHECK_EQ(s[0].t->bytes_in, 0);
}

TEST(they_wait_and_are_received_together)
{
    struct scene s[3];
    make_three(s);
    for (unsigned round = 0; round < 3; round++, turn())
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQ(read_chunks(s[i].backend, 0), round == 1 ? CHUNK : 0);
            CHECK_EQ(read_chunks(s[i].client, 0), round == 1 ? CHUNK : 0);
        }
    CHECK_EQ(w->bufs.in_use, 0);
    end_worker();
}

TEST(who_is_closed_while_it_waits_is_left_alone)
{
    struct scene s[3];
    make_three(s);
    conn_close(s[1].t->conn, "test");
    ev_io_stop(w->loop, &s[2].t->up->io); /* as one that is given away */
    turn();
    turn();
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(read_chunks(s[i].backend, 0), i == 1 ? 0 : CHUNK);
        CHECK_EQ(read_chunks(s[i].client, 0), i == 0 ? CHUNK : 0);
    }
    free_retired();
    end_worker();
}

TEST(ends_and_resets_are_received_as_well)
{
    struct scene s[3];
    make_three(s);
    turn();
    turn();
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(read_chunks(s[i].backend, 0), CHUNK);
        if (i != 1)
            CHECK_EQ(read_chunks(s[i].client, 0), CHUNK);
    }
    CHECK_EQ(shutdown(s[0].client, SHUT_WR), 0);
    close(s[1].client); /* with something unread: a reset */
    CHECK_EQ(shutdown(s[2].backend, SHUT_WR), 0);
    for (unsigned i = 0; i < 3; i++)
        tell_readable(s[i]);
    turn();
    turn();
    CHECK(at_end(s[0].backend));
    CHECK(!at_end(s[0].client));
    CHECK(at_end(s[2].client));
    CHECK_EQ(w->conn_count, 2);
    free_retired();
    end_worker();
}

TEST(off_while_they_wait)
{
    struct scene s[3];
    make_three(s);
    ahead_use(w, batch_use(w->loop, false));
    turn();
    turn();
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(read_chunks(s[i].backend, 0), CHUNK);
    end_worker();
}

TEST(off_in_the_middle_of_a_turn)
{
    make_worker(true);
    struct scene s = make_tunnel();
    turn();
    write_chunk(s.client, 0);
    turn();
    CHECK_EQ(batch_waiting, 1);
    batch_use(w->loop, false);
    CHECK_EQ(read_chunks(s.backend, 0), CHUNK);
    write_chunk(s.client, 1);
    turn();
    CHECK_EQ(batch_waiting, 0);
    CHECK_EQ(read_chunks(s.backend, CHUNK), CHUNK);
    batch_use(w->loop, true);
    write_chunk(s.client, 2);
    turn();
    CHECK_EQ(batch_waiting, 1);
    end_worker();
}

TEST(large_chunks_and_links_do_not_wait)
{
    make_worker(true);
    struct scene s = make_tunnel();
    int bytes = 1 << 20;
    CHECK_EQ(setsockopt(s.client, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    turn();
    for (unsigned i = 0; i < 5; i++)
        write_chunk(s.client, i);
    turn();
    CHECK_EQ(batch_waiting, 0);
    turn();
    CHECK_EQ(drain(s.backend), 5 * CHUNK);
    end_worker();
}

#ifdef __SANITIZE_ADDRESS__
TEST(no_memory_for_what_was_not_taken)
{
    SKIP("AddressSanitizer does not run out of memory");
}
#else
/* The tunnel is cut: nobody takes what arrived for the whole. */
TEST(no_memory_for_what_was_not_taken)
{
    static void *taken[100000];
    make_worker(true);
    struct scene s = make_tunnel();
    turn();
    write_chunk(s.backend, 0);
    turn();
    CHECK_EQ(batch_waiting, 1);
    char bytes[512] = {0};
    while (send(conn_fd(s.t->conn), bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
        ;
    buf_pool_free(&w->bufs);
    struct rlimit none = {1, RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_AS, &none), 0);
    unsigned n = 0;
    while (n < ARRAY_LEN(taken) && (taken[n] = malloc(BUF_LARGE_BYTES)))
        n++;
    batch_flush();
    CHECK(s.t->torn);
    none.rlim_cur = RLIM_INFINITY;
    CHECK_EQ(setrlimit(RLIMIT_AS, &none), 0);
    turn();
    CHECK(!w->conns);
    while (n > 0)
        free(taken[--n]);
    end_worker();
}
#endif
