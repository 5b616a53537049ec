#include "admin/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/session.h"
#include "admin/reload.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/net.h"

#define SERVER_MAGIC 0x5E44E401u
#define LISTEN_MAGIC 0x5E44E402u

#define NEWS_S           0.1
#define ACCEPTS_PER_TURN 16

/* ---- connections ---- */

static void everybody(struct server *s, void (*act)(struct session *c))
{
    for (uint32_t i = s->session_count; i-- > 0;) /* backwards: acting may remove this one */
        act(s->sessions[i]);
}

void server_forget(struct server *s, struct session *c)
{
    for (uint32_t i = 0; i < s->session_count; i++)
        if (s->sessions[i] == c) {
            s->sessions[i] = s->sessions[--s->session_count];
            break;
        }
    if (s->session_count == 0 && s->on_empty)
        s->on_empty(s->arg);
}

/* The one for which it has been longest so, or NULL. */
static struct session *oldest(const struct server *s, bool (*is)(const struct session *c))
{
    struct session *found = NULL;
    for (uint32_t i = 0; i < s->session_count; i++)
        if (is(s->sessions[i]) && (!found || s->sessions[i]->idle_since < found->idle_since))
            found = s->sessions[i];
    return found;
}

/* Somebody idle leaves, else somebody who has not said yet what they want. */
static bool make_room(struct server *s)
{
    struct session *c = oldest(s, session_is_idle);
    if (!c)
        c = oldest(s, session_is_incomplete);
    if (c)
        session_close(c);
    return c != NULL;
}

static void refuse_full(int fd)
{
    static const char body[] =
        "{\"type\":\"urn:ballast:problem:busy\",\"title\":\"Service Unavailable\",\"status\":503,"
        "\"detail\":\"too many connections\",\"error\":\"too many connections\"}";
    char text[512];
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
                       "Content-Type: application/problem+json\r\nContent-Length: %zu\r\n\r\n%s",
                       sizeof(body) - 1, body);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) == -1)
        log_debug("admin: cannot refuse a connection error=\"%s\"", strerror(errno));
    close(fd);
}

/* ---- accepting ---- */

static void pause_accepting(struct server *s, int why)
{
    log_warning("admin: cannot accept, pausing for a second error=\"%s\"", strerror(why));
    for (uint32_t i = 0; i < s->listen_count; i++)
        ev_io_stop(s->loop, &s->listens[i]->accept);
    ev_timer_stop(s->loop, &s->resume);
    ev_timer_set(&s->resume, 1., 0.);
    ev_timer_start(s->loop, &s->resume);
}

static void on_resume(struct ev_loop *loop, ev_timer *w, int events)
{
    struct server *s = w->data;
    MAGIC_CHECK(s, SERVER_MAGIC);
    (void)events;
    for (uint32_t i = 0; i < s->listen_count; i++)
        ev_io_start(loop, &s->listens[i]->accept);
}

static void take(struct server_listen *l, int fd)
{
    struct server *s = l->server;
    if (s->session_count == SERVER_SESSIONS_MAX && !make_room(s)) {
        refuse_full(fd);
        return;
    }
    net_set_nodelay(fd);
    struct session *c = session_new(s, fd, l);
    if (c)
        s->sessions[s->session_count++] = c;
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
    struct server_listen *l = w->data;
    MAGIC_CHECK(l, LISTEN_MAGIC);
    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd != -1) {
            take(l, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(l->server, errno);
        return; /* EAGAIN, or a client that left already */
    }
}

/* ---- listening sockets ---- */

static void listens_drop(struct server *s)
{
    for (uint32_t i = 0; i < s->listen_count; i++) {
        ev_io_stop(s->loop, &s->listens[i]->accept);
        MAGIC_CLEAR(s->listens[i]);
        free(s->listens[i]);
    }
    free(s->listens);
    s->listens = NULL;
    s->listen_count = 0;
    ev_timer_stop(s->loop, &s->resume);
}

/* "localhost:9900" -> "localhost" */
static void name_host(struct server_listen *l, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (len < sizeof(l->host))
        memcpy(l->host, text, len);
}

static bool listen_add(struct server *s, const struct conf_bind *bind, int fd)
{
    struct server_listen *l = calloc(1, sizeof(*l));
    if (!l)
        return false;
    MAGIC_SET(l, LISTEN_MAGIC);
    l->server = s;
    l->loopback = bind->addr.u.sa.sa_family != AF_UNIX && net_addr_is_loopback(&bind->addr);
    name_host(l, bind->text);
    ev_io_init(&l->accept, on_acceptable, fd, EV_READ);
    l->accept.data = l;
    ev_io_start(s->loop, &l->accept);
    s->listens[s->listen_count++] = l;
    return true;
}

int server_listen(struct server *s, const struct child *c)
{
    const struct conf_admin *conf = &c->conf->admin;
    listens_drop(s);
    s->listens = calloc((size_t)conf->bind_count + 1, sizeof(*s->listens));
    if (!s->listens)
        return -1;
    for (uint32_t i = 0; i < conf->bind_count; i++) {
        int fd = child_listen_fd(c, conf->binds[i].id);
        if (fd == -1)
            log_error("admin: no socket for bind=%s", conf->binds[i].text);
        else if (!listen_add(s, &conf->binds[i], fd))
            return -1;
    }
    return 0;
}

/* ---- waiting requests ---- */

uint32_t server_waiting(const struct server *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->session_count; i++)
        count += session_waits(s->sessions[i], RESPONSE_WAIT_EVENTS);
    return count;
}

void server_want_news(struct server *s)
{
    if (!ev_is_active(&s->news))
        ev_timer_again(s->loop, &s->news);
}

static void on_news(struct ev_loop *loop, ev_timer *w, int events)
{
    struct server *s = w->data;
    MAGIC_CHECK(s, SERVER_MAGIC);
    uint32_t waiting = 0;
    (void)events;
    for (uint32_t i = s->session_count; i-- > 0;)
        if (session_waits(s->sessions[i], RESPONSE_WAIT_EVENTS)) {
            waiting++;
            session_ask_again(s->sessions[i]);
        }
    if (waiting == 0)
        ev_timer_stop(loop, &s->news);
}

void server_reloaded(struct server *s, uint32_t round, uint32_t result, const char *text)
{
    for (uint32_t i = s->session_count; i-- > 0;) {
        struct session *c = s->sessions[i];
        if (!session_waits(c, RESPONSE_WAIT_RELOAD) || c->r.ticket != round)
            continue;
        reload_answer(&c->r, result, s->api->conf->generation, text);
        session_resume(c);
    }
}

void server_reload_lost(struct server *s, uint32_t round)
{
    for (uint32_t i = s->session_count; i-- > 0;) {
        struct session *c = s->sessions[i];
        if (!session_waits(c, RESPONSE_WAIT_RELOAD) || c->r.ticket != round)
            continue;
        response_problem(&c->r, 503, "master-unreachable", "the master process could not be asked");
        session_resume(c);
    }
}

/* ---- the end ---- */

static void drain_one(struct session *c)
{
    if (session_is_idle(c)) {
        session_close(c);
    } else if (session_waits(c, RESPONSE_WAIT_EVENTS)) {
        session_resume(c);
    } else if (session_waits(c, RESPONSE_WAIT_RELOAD)) {
        response_problem(&c->r, 503, "stopping", "the balancer is stopping");
        session_resume(c);
    }
}

void server_drain(struct server *s, void (*on_empty)(void *arg), void *arg)
{
    listens_drop(s);
    s->on_empty = NULL;
    everybody(s, drain_one);
    s->on_empty = on_empty;
    s->arg = arg;
    if (s->session_count == 0)
        on_empty(arg);
}

void server_init(struct server *s, struct ev_loop *loop, struct api *api)
{
    memset(s, 0, sizeof(*s));
    MAGIC_SET(s, SERVER_MAGIC);
    s->loop = loop;
    s->api = api;
    ev_timer_init(&s->news, on_news, NEWS_S, NEWS_S);
    ev_timer_init(&s->resume, on_resume, 1., 0.);
    s->news.data = s->resume.data = s;
}
