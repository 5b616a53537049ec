/* Connections over a socket pair: deadlines (invoked, not waited for), waiting, draining, limits.
 */
#include "tests/unit/admin/fixture.h"

#include <sys/socket.h>
#include "admin/server.h"
#include "admin/session.h"

static struct server server;
static struct server_listen from = {.host = "127.0.0.1"};
static int emptied;

static void start(void)
{
    setup();
    server_init(&server, ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV), &fx.api);
}

/* A connection; *fd is the client's end. */
static struct session *open_session(int *fd)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    struct session *c = session_new(&server, pair[0], &from);
    CHECK(c != NULL);
    server.sessions[server.session_count++] = c;
    *fd = pair[1];
    return c;
}

static void turn(void)
{
    ev_run(server.loop, EVRUN_NOWAIT);
}

static void say(int fd, const char *text)
{
    CHECK_EQ(write(fd, text, strlen(text)), (long long)strlen(text));
    turn();
}

/* What came so far; "" for nothing, NULL at the end. */
static const char *hear(int fd)
{
    static char text[65536];
    ssize_t n = read(fd, text, sizeof(text) - 1);
    if (n == 0)
        return NULL;
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void expire(struct session *c)
{
    CHECK(ev_is_active(&c->timer));
    ev_timer_stop(server.loop, &c->timer);
    ev_invoke(server.loop, &c->timer, EV_TIMER);
    turn();
}

static bool begins(const char *text, const char *with)
{
    return text && strncmp(text, with, strlen(with)) == 0;
}

TEST(an_idle_connection_owns_no_buffer_and_leaves_without_a_word)
{
    int fd;
    start();
    struct session *c = open_session(&fd);
    say(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(begins(hear(fd), "HTTP/1.1 200 "));
    CHECK(c->in == NULL && session_is_idle(c));
    expire(c);
    CHECK(hear(fd) == NULL);
    CHECK_EQ(server.session_count, 0);
}

TEST(a_head_or_body_that_does_not_come_is_408)
{
    static const char *const begun[] = {
        "GET / HT", "POST /lb/backends/add HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        "POST /lb/backends/add HTTP/1.1\r\nHost: x\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{"};
    start();
    for (size_t i = 0; i < ARRAY_LEN(begun); i++) {
        int fd;
        struct session *c = open_session(&fd);
        say(fd, begun[i]);
        CHECK_STR(hear(fd), "");
        expire(c);
        CHECK(begins(hear(fd), "HTTP/1.1 408 "));
        CHECK(hear(fd) == NULL);
        close(fd);
        turn(); /* it lingered until we closed */
        CHECK_EQ(server.session_count, 0);
    }
}

TEST(the_clock_of_a_head_is_not_wound_by_more_bytes)
{
    int fd;
    start();
    struct session *c = open_session(&fd);
    say(fd, "G");
    double at = ((ev_watcher_time *)&c->timer)->at;
    ev_now_update(server.loop);
    say(fd, "E");
    CHECK(((ev_watcher_time *)&c->timer)->at <= at);
}

TEST(a_reload_that_is_not_answered_is_504)
{
    int fd;
    start();
    struct session *c = open_session(&fd);
    say(fd, "POST /lb/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK(session_waits(c, RESPONSE_WAIT_RELOAD));
    expire(c);
    CHECK(begins(hear(fd), "HTTP/1.1 504 "));
    CHECK(session_is_idle(c));
}

TEST(a_reload_answers_its_own_round_only)
{
    static const char ask[] = "POST /lb/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    int first, second, third;
    uint32_t round, lost;
    start();
    open_session(&first);
    open_session(&second);
    open_session(&third);
    say(first, ask);
    say(second, ask);
    say(third, ask);
    CHECK(reload_end(&fx.reload, &round, &lost));
    server_reloaded(&server, round, 0, "[]");
    CHECK(begins(hear(first), "HTTP/1.1 200 "));
    CHECK_STR(hear(second), "");
    CHECK(reload_end(&fx.reload, &round, &lost));
    server_reloaded(&server, round, 1, "[\"f:1: error: bad\"]");
    CHECK(begins(hear(second), "HTTP/1.1 422 "));
    CHECK(begins(hear(third), "HTTP/1.1 422 "));
}

TEST(a_round_that_cannot_begin_is_503)
{
    static const char ask[] = "POST /lb/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    int first, second;
    uint32_t round, lost;
    start();
    open_session(&first);
    open_session(&second);
    say(first, ask);
    say(second, ask);
    fx.ask_result = -1;
    CHECK(reload_end(&fx.reload, &round, &lost));
    server_reload_lost(&server, lost);
    CHECK_STR(hear(first), "");
    CHECK(begins(hear(second), "HTTP/1.1 503 "));
}

TEST(events_wait_until_there_are_some_or_the_time_is_over)
{
    int fd, other;
    start();
    struct session *c = open_session(&fd);
    open_session(&other);
    const char ask[] = "GET /lb/events?since=99999&wait=9s HTTP/1.1\r\nHost: x\r\n\r\n";
    say(fd, ask);
    say(other, ask);
    CHECK(session_waits(c, RESPONSE_WAIT_EVENTS));
    expire(c);
    CHECK(strstr(hear(fd), "\"events\":[]"));
    CHECK_STR(hear(other), "");
    event_write(&fx.table, 0, "test", "thing", NULL, NULL, NULL);
    ev_invoke(server.loop, &server.news, EV_TIMER);
    CHECK(strstr(hear(other), "\"object\":\"thing\""));
}

TEST(a_client_that_leaves_while_it_waits_is_forgotten)
{
    int fd;
    start();
    open_session(&fd);
    say(fd, "GET /lb/events?since=99999&wait=9s HTTP/1.1\r\nHost: x\r\n\r\n");
    close(fd);
    turn();
    CHECK_EQ(server.session_count, 0);
}

TEST(pipelined_requests_take_turns)
{
    int fd;
    start();
    open_session(&fd);
    say(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    const char *text = hear(fd);
    CHECK(strstr(text, "\"healthy\""));
    CHECK(!strstr(text, "\"alive\""));
    turn();
    CHECK(strstr(hear(fd), "\"alive\""));
}

static void on_empty(void *arg)
{
    CHECK(arg == &server);
    emptied++;
}

TEST(draining_answers_who_waits_and_ends_with_the_last)
{
    int idle, waiting, half;
    start();
    open_session(&idle);
    open_session(&waiting);
    open_session(&half);
    say(waiting, "GET /lb/events?since=99999&wait=9s HTTP/1.1\r\nHost: x\r\n\r\n");
    say(half, "GET /health/ready HTTP/1.1\r\n");
    fx.api.draining = true;
    server_drain(&server, on_empty, &server);
    CHECK(hear(idle) == NULL);
    CHECK(strstr(hear(waiting), "Connection: close\r\n"));
    CHECK(hear(waiting) == NULL);
    CHECK_EQ(emptied, 0);
    say(half, "Host: x\r\n\r\n");
    CHECK(begins(hear(half), "HTTP/1.1 503 "));
    CHECK(hear(half) == NULL);
    CHECK_EQ(emptied, 1);
}

TEST(draining_with_nobody_there_ends_at_once)
{
    start();
    server_drain(&server, on_empty, &server);
    CHECK_EQ(emptied, 1);
}

TEST(answers_that_are_not_read_are_bounded)
{
    int fd;
    start();
    open_session(&fd);
    server.pending_bytes = SERVER_PENDING_BYTES - 100;
    say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(begins(hear(fd), "HTTP/1.1 503 "));
    CHECK_EQ(server.pending_bytes, SERVER_PENDING_BYTES - 100);
    server.pending_bytes = 0;
    say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(begins(hear(fd), "HTTP/1.1 200 "));
}
