/*
 * cli/sample.h: the sample backend from the inside: a small HTTP/1.1 keep-alive server for trying
 * the balancer. One server per listening socket, any number of servers per loop. Runs in `ballast
 * backend` and in the sample processes of `ballast demo`; not a production server: no timeouts, no
 * TLS.
 *
 *   GET /health   200 {"status":"healthy"}, never failing, never late
 *   GET /ws       WebSocket echo (RFC 6455)
 *   anything      200 with JSON about the request, or body_bytes of filler; delayed and failing as
 * asked
 */
#ifndef BALLAST_CLI_SAMPLE_H
#define BALLAST_CLI_SAMPLE_H

#include <ev.h>
#include "base/http1.h"
#include "base/json.h"
#include "cli/cli.h"

#define SAMPLE_SERVER_MAGIC 0x53414d53u
#define SAMPLE_CONN_MAGIC   0x53414d43u
#define SAMPLE_IN_BYTES     32768u

struct sample_conn;

struct sample_server {
    uint32_t magic;
    struct ev_loop *loop;
    int fd;
    ev_io accepting;
    struct sample_options options;
    double fail_debt; /* grows by fail_rate per request; at 1 one fails: the share is exact, not a
                         lottery */
    struct sample_conn *conns;
    unsigned conn_count;
    bool draining;
    void (*on_drained)(void *arg); /* no connection is left */
    void *drained_arg;
};

/* Bytes to be written, growing. */
struct sample_out {
    char *buf;
    size_t len, cap, off;
};

enum sample_state { SAMPLE_HEAD, SAMPLE_BODY, SAMPLE_DELAY, SAMPLE_WRITE, SAMPLE_WS };

struct sample_ws {
    uint8_t head[14]; /* of the frame being read */
    uint8_t head_len;
    bool in_payload, drop, closing;
    uint8_t mask[4];
    uint64_t left, at;
};

struct sample_conn {
    uint32_t magic;
    struct sample_server *server;
    struct sample_conn *prev, *next;
    int fd;
    ev_io io;
    ev_timer delay;
    enum sample_state state;
    bool keep_alive, is_head, body_done;
    uint16_t status;
    struct http1_head head;
    struct http1_chunked chunked;
    uint64_t body_left, body_bytes; /* of the request: still to come, seen */
    struct json answer;             /* about the request, begun at its head */
    struct sample_out out;
    uint64_t filler_left;
    struct sample_ws ws;
    uint32_t in_len;
    char in[SAMPLE_IN_BYTES];
};

/* sample_server.c. Listens; 0, or -1 with why. Accepting begins with serve. */
int sample_server_open(struct sample_server *s, struct ev_loop *loop,
                       const struct sample_options *o, char *why, size_t why_cap) MUST_CHECK;
void sample_server_serve(struct sample_server *s);
/* Accepts no more, closes what is idle, calls on_drained when the last connection is gone (perhaps
 * at once). */
void sample_server_drain(struct sample_server *s);

/* sample_conn.c */
void sample_conn_open(struct sample_server *s, int fd);
void sample_conn_drain(struct sample_conn *c);

/* sample_reply.c: what is answered; both write into c->out, c->answer or c->filler_left. */
void sample_describe(
    struct sample_conn *c); /* at the request head: begins c->answer, chooses c->status */
void sample_reply(struct sample_conn *c); /* when the request body was read */
void sample_reply_error(struct sample_conn *c, uint16_t status,
                        const char *text); /* and closes after it */
void sample_out_add(struct sample_out *o, const void *data, size_t len);
void sample_out_printf(struct sample_out *o, const char *fmt, ...) PRINTF(2, 3);

/* sample_ws.c */
bool sample_ws_wanted(const struct sample_conn *c);
void sample_ws_accept(struct sample_conn *c); /* writes the 101 */
/* Echoes what is in c->in. Returns false when the connection is to be closed after c->out is
 * written. */
bool sample_ws_read(struct sample_conn *c);

#endif
