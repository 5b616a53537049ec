/*
 * admin/conn.h: one connection of the admin API: HEAD -> BODY -> (WAIT) -> WRITE -> HEAD ..., or
 * LINGER and gone. One request at a time; what a client pipelines stays in the buffer until its
 * turn. An idle connection owns no buffer. Every state has a deadline. A connection frees itself;
 * server_forget is its last word.
 */
#ifndef BALLAST_ADMIN_CONN_H
#define BALLAST_ADMIN_CONN_H

#include <ev.h>
#include "admin/server.h"

enum conn_state { CONN_HEAD, CONN_BODY, CONN_WAIT, CONN_WRITE, CONN_LINGER };

struct conn {
    uint32_t magic;
    struct server *server;
    ev_io read, write;
    ev_timer timer;
    enum conn_state state;
    double idle_since;
    char peer[REQUEST_PEER_BYTES];
    bool bind_loopback;
    char bind_host[256];
    /* in */
    char *in;
    uint32_t in_at, in_end; /* bytes not yet used: in[in_at..in_end) */
    struct http1_head head;
    struct http1_chunked chunked;
    uint64_t body_left;
    char *body;
    size_t body_bytes;
    bool unread;     /* the request was refused before it was all read */
    bool in_request; /* arena, q and r are in use */
    /* the request and its answer */
    struct arena arena;
    struct request q;
    struct response r;
    uint64_t news_seen; /* last event when it began to wait */
    bool keep_alive;
    /* out */
    char out_head[2048];
    size_t out_head_bytes, out_body_bytes, sent_bytes;
};

/* Takes the descriptor. NULL without memory (the descriptor is closed). */
struct conn *conn_new(struct server *s, int fd, const struct server_listen *l) MUST_CHECK;
/* Closes and frees at once. */
void conn_close(struct conn *c);
bool conn_is_idle(const struct conn *c);
bool conn_waits(const struct conn *c, enum response_wait wait);
/* The answer in c->r is complete now: sends it and goes on. */
void conn_resume(struct conn *c);
/* Asks the handler again: it may have news. */
void conn_ask_again(struct conn *c);

#endif
