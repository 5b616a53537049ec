#include "health/dns.h"

#include <string.h>
#include "base/magic.h"

#define DNS_MAGIC  0x444E5331u /* "DNS1" */
#define TIMEOUT_MS 2000
#define TRIES      2

void dns_asked(struct dns *d)
{
    struct timeval room, *next = ares_timeout(d->channel, NULL, &room);
    ev_timer_stop(d->loop, &d->timer);
    if (next == NULL)
        return;
    ev_timer_set(&d->timer, (double)next->tv_sec + (double)next->tv_usec / 1e6 + 0.001, 0.);
    ev_timer_start(d->loop, &d->timer);
}

static void on_timer(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct dns *d = CONTAINER_OF(w, struct dns, timer);
    MAGIC_CHECK(d, DNS_MAGIC);
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    dns_asked(d);
}

static void on_socket(struct ev_loop *loop UNUSED, ev_io *w, int events)
{
    struct dns_socket *s = CONTAINER_OF(w, struct dns_socket, io);
    struct dns *d = s->dns;
    MAGIC_CHECK(d, DNS_MAGIC);
    ares_process_fd(d->channel, events & EV_READ ? w->fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? w->fd : ARES_SOCKET_BAD);
    dns_asked(d);
}

/* The watcher of a socket; a free one when it has none; NULL: there are too many. */
static struct dns_socket *find_socket(struct dns *d, int fd)
{
    struct dns_socket *free_one = NULL;
    for (uint32_t i = 0; i < DNS_SOCKETS_MAX; i++) {
        if (d->sockets[i].fd == fd)
            return &d->sockets[i];
        if (d->sockets[i].fd == -1)
            free_one = &d->sockets[i];
    }
    return free_one;
}

static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns *d = arg;
    struct dns_socket *s = find_socket(d, fd);
    MAGIC_CHECK(d, DNS_MAGIC);
    if (s == NULL) /* that question times out */
        return;
    if (s->fd != -1)
        ev_io_stop(d->loop, &s->io);
    s->fd = -1;
    if (!readable && !writable)
        return;
    s->fd = fd;
    ev_io_set(&s->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    ev_io_start(d->loop, &s->io);
}

const char *dns_open(struct dns *d, struct ev_loop *loop, const char *servers)
{
    struct ares_options options = {
        .sock_state_cb = on_state, .sock_state_cb_data = d, .timeout = TIMEOUT_MS, .tries = TRIES};
    memset(d, 0, sizeof(*d));
    MAGIC_SET(d, DNS_MAGIC);
    d->loop = loop;
    ev_init(&d->timer, on_timer);
    for (uint32_t i = 0; i < DNS_SOCKETS_MAX; i++) {
        d->sockets[i].dns = d;
        d->sockets[i].fd = -1;
        ev_init(&d->sockets[i].io, on_socket);
    }
    int rc = ares_init_options(&d->channel, &options,
                               ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (rc != ARES_SUCCESS) {
        MAGIC_CLEAR(d);
        return ares_strerror(rc);
    }
    if (*servers != '\0')
        rc = ares_set_servers_ports_csv(d->channel, servers);
    if (rc == ARES_SUCCESS)
        return NULL;
    dns_close(d);
    return ares_strerror(rc);
}

void dns_close(struct dns *d)
{
    ares_destroy(d->channel);
    ev_timer_stop(d->loop, &d->timer);
    for (uint32_t i = 0; i < DNS_SOCKETS_MAX; i++)
        if (d->sockets[i].fd != -1)
            ev_io_stop(d->loop, &d->sockets[i].io);
    MAGIC_CLEAR(d);
}
