/*
 * admin/session.h: one connection of the admin API: HEAD -> BODY -> (WAIT) -> WRITE -> HEAD ..., or
 * LINGER and gone. One request at a time; what a client pipelines stays in the buffer until its
 * turn. An idle connection owns no buffer. Every state has a deadline. A connection frees itself;
 * server_forget is its last word.
 */
#ifndef BALLAST_ADMIN_SESSION_H
#define BALLAST_ADMIN_SESSION_H

#include <ev.h>
#include "admin/server.h"

enum session_state { SESSION_HEAD, SESSION_BODY, SESSION_WAIT, SESSION_WRITE, SESSION_LINGER };

struct session {
    uint32_t magic;
    struct server *server;
    ev_io read, write;
    ev_timer timer;
    enum session_state state;
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
struct session *session_new(struct server *s, int fd, const struct server_listen *l) MUST_CHECK;
/* Closes and frees at once. */
void session_close(struct session *c);
bool session_is_idle(const struct session *c);
bool session_is_incomplete(
    const struct session *c); /* idle, or its request has not arrived whole */
bool session_waits(const struct session *c, enum response_wait wait);
/* The answer in c->r is complete now: sends it and goes on. */
void session_resume(struct session *c);
/* Asks the handler again: it may have news. */
void session_ask_again(struct session *c);

#endif
