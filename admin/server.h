/*
 * admin/server.h: the sockets of the admin API: accepts, keeps at most SERVER_SESSIONS_MAX
 * connections (an idle one, else one whose request is incomplete, makes room for a new one), wakes
 * those that wait for news. What happens on one connection is in session.h.
 */
#ifndef BALLAST_ADMIN_SERVER_H
#define BALLAST_ADMIN_SERVER_H

#include <ev.h>
#include "admin/api.h"
#include "proc/role.h"

#define SERVER_SESSIONS_MAX  64u
#define SERVER_WAITING_MAX   32u          /* for events; whoever comes later is answered at once */
#define SERVER_PENDING_BYTES (256u << 20) /* of answers not yet sent, all connections */

struct session;

struct server_listen {
    uint32_t magic;
    struct server *server;
    ev_io accept;
    bool loopback; /* TCP on a loopback address */
    char host[256];
};

struct server {
    uint32_t magic;
    struct ev_loop *loop;
    struct api *api;
    struct server_listen **listens;
    uint32_t listen_count;
    struct session *sessions[SERVER_SESSIONS_MAX];
    uint32_t session_count;
    size_t pending_bytes;
    ev_timer news;               /* runs while somebody waits for events */
    ev_timer resume;             /* accepts again after running out of descriptors */
    void (*on_empty)(void *arg); /* draining, and the last connection is gone */
    void *arg;
};

void server_init(struct server *s, struct ev_loop *loop, struct api *api);
/* Accepts on the sockets that the child's configuration names, and on no others. 0, or -1 without
 * memory. */
int server_listen(struct server *s, const struct child *c) MUST_CHECK;
/* No new connections; idle ones are closed, waiting ones answered. on_empty is called when nothing
 * is left (maybe at once). */
void server_drain(struct server *s, void (*on_empty)(void *arg), void *arg);
/* Answers everybody who waits for this round of reloads. */
void server_reloaded(struct server *s, uint32_t round, uint32_t result, const char *text);
/* Nobody will answer this round. */
void server_reload_lost(struct server *s, uint32_t round);

/* For session.c. */
void server_forget(struct server *s, struct session *c);
void server_want_news(struct server *s);
uint32_t server_waiting(const struct server *s); /* sessions that wait for events */

#endif
