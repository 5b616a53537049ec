/*
 * worker/types.h: the objects of the data path and who owns them.
 *
 *   worker    one per process; owns everything below
 *   gen       one configuration generation as this worker uses it; kept while a request that began
 * with it is in flight conn      a client connection; owns its descriptor, its input buffer and its
 * txn; an idle one owns no buffer txn       one request (HTTP) or tunnel (TCP, upgraded HTTP) from
 * routing to accounting; owns its buffers, its place in entry.inflight and its upstream while it
 * has one upstream  a connection to a backend: belongs to one txn, or idle to the worker's pool
 * (upool.h)
 *
 * Flow (one file per step): accept -> proto_http1 (parse) -> txn (route, pick) -> connect ->
 * relay_request / relay_response -> txn_finish (account). Doors: conn_close() is the only place
 * that closes a client connection, with a reason; txn_set_state() the only one that changes a txn's
 * state; account_txn() the only one that counts a request.
 *
 * Objects that a callback up the stack may still look at are freed at the end of the loop iteration
 * (worker.h worker_retire): after conn_close() a conn's state is CONN_CLOSED until then.
 */
#ifndef BALLAST_WORKER_TYPES_H
#define BALLAST_WORKER_TYPES_H

#include <ev.h>
#include "base/http1.h"
#include "base/magic.h"
#include "conf/conf.h"
#include "conf/route_memo.h"
#include "proc/role.h"
#include "shm/breaker.h"
#include "shm/entry.h"
#include "shm/histo.h"
#include "shm/pool.h"
#include "shm/slot.h"
#include "worker/buf.h"
#include "worker/lb/lb.h"
#include "worker/slab.h"

#define CONN_MAGIC     0xC0117EC7u
#define TXN_MAGIC      0x7A115AC7u
#define UPSTREAM_MAGIC 0x0B57EA11u
#define ACCEPTOR_MAGIC 0xACCE9708u

struct worker;
struct link; /* worker/link.h */
struct pipe; /* worker/splice.h */
struct tls_server;
struct tls_client;
struct tls;           /* worker/tls.h */
struct h2_session;    /* worker/h2.h */
struct handover;      /* worker/handover.h */
struct access_note;   /* worker/access_log.h */
struct access_buffer; /* worker/access_sink.c */
struct udp;           /* worker/udp.h */
struct txn_cache;     /* worker/cache_int.h */

/* The members of a pool by what cookies call them (worker/sticky.h). */
struct sticky_index {
    struct sticky_id {
        uint64_t id;
        uint32_t entry;
    } * ids; /* by id */
    uint32_t count, cap, change;
    bool built;
};
struct h2_backend; /* worker/h2_backend.h */
struct compressor; /* worker/compress.h */
struct compressors;

/* What a worker adds to a pool of the configuration. */
struct pool_rt {
    const struct conf_pool *conf;
    struct breaker_rule breaker; /* when conf->breaker */
    struct lb_view view;
    struct sticky_index sticky; /* when conf->sticky */
};

struct gen {
    const struct conf *conf;
    uint32_t refs;         /* txns that began with it, plus one while current */
    struct pool_rt *pools; /* by index of conf.pools */
    struct regex_set *regexes;
    struct route_memo hosts_seen;
    void **jwt_keys;            /* EVP_PKEY, made when first used; NULL: none yet */
    struct jwt_seen *jwt_seen;  /* signatures that were right; NULL: none yet */
    struct tls_server *servers; /* by index of conf.listeners; NULL: none speaks TLS */
    struct tls_client *clients; /* by index of conf.pools; NULL: none speaks TLS */
    const struct conf_listener *by_row[LISTENER_MAX];
    struct gen *next;
    uint64_t cut_us; /* tunnels of listeners that ended with it are cut then */
};

struct acceptor {
    uint32_t magic;
    uint32_t bind_id;
    uint32_t listener_row;
    bool datagram; /* udp: sessions instead of connections */
    struct ev_io io;
    struct worker *worker;
    struct acceptor *next;
};

/* A peer's address without the family-sized padding. */
struct peer {
    uint8_t family; /* AF_INET, AF_INET6 (never a mapped IPv4), AF_UNIX */
    uint16_t port;  /* host order */
    uint8_t ip[16];
};

enum conn_state {
    CONN_IDLE,   /* between requests: no buffer, no txn */
    CONN_PROXY,  /* a PROXY header is awaited (preface.h) */
    CONN_HELLO,  /* a ClientHello is awaited (preface.h) */
    CONN_HEAD,   /* a request head is arriving */
    CONN_BUSY,   /* a txn is at work */
    CONN_LINGER, /* answered and half-closed: reads and drops what still comes, so that the answer
                    is not reset away */
    CONN_H2,     /* owned by an HTTP/2 session */
    CONN_TAIL,   /* answered, but the client has not taken the end of the answer (tail.h) */
    CONN_HANDED, /* another worker is asked to take it (handover.h): untouched until it answers */
    CONN_CLOSED  /* to be freed at the end of the iteration */
};

struct conn {
    uint32_t magic;
    uint8_t state;    /* enum conn_state */
    uint8_t protocol; /* enum conf_protocol */
    bool draining;    /* answer what is in flight, then close */
    bool eof;         /* the client sent FIN */
    bool secure;      /* over TLS */
    bool staying;     /* is not handed over: nobody takes it */
    bool is_stream;   /* of an HTTP/2 connection: no descriptor, one request (worker/h2.h) */
    uint32_t listener_row;
    uint32_t served;      /* requests */
    uint32_t client_cell; /* where its client is counted (shm/clients.h), + 1; 0: nowhere */
    struct ev_io io;
    struct link *link;       /* NULL: a plain socket */
    const char *identity;    /* fields that say who a client with a certificate is; the link's */
    const char *tls_version; /* "TLSv1.3"; NULL: plain */
    struct ev_timer timer;
    uint64_t deadline_us; /* the timer fires no later than this and looks again (conn_deadline) */
    uint64_t timer_us;    /* when the timer fires */
    struct worker *worker;
    struct buf *in;          /* bytes from the client not yet consumed */
    struct http1_head *head; /* while a head arrives and its request runs */
    struct txn *txn;
    struct h2_session *h2;    /* CONN_H2 */
    struct tail *tail;        /* CONN_TAIL */
    struct upstream *kept;    /* idle, announced to its backend as this client's (proxy_out.h) */
    struct conn *prev, *next; /* worker's list of open connections; next also links the retired */
    uint32_t bind_id; /* of the socket that it was accepted on: the listener may be renamed */
    struct gen *gen;  /* NULL: the worker's; else the last one that had its listener */
    struct peer peer; /* the client: a PROXY header may have named it */
    struct peer dest; /* where it connected to, as a PROXY header said; family 0: nobody said */
};

struct upstream {
    uint32_t magic;
    bool reused; /* came from the pool */
    bool connecting;
    bool doubtful; /* its last answer had no body by rule: one may have been sent all the same */
    bool dead;     /* closed: to be freed at the end of the iteration */
    uint32_t entry, incarnation, pool_row;
    uint32_t served; /* requests that it was taken for */
    struct ev_io io;
    struct link *link; /* NULL: a plain socket */
    struct worker *worker;
    struct txn *txn;              /* NULL: idle in the pool */
    struct h2_backend *h2;        /* it carries the streams of others; txn is NULL */
    struct side *side;            /* it is the connection of a request of our own; txn is NULL */
    struct conn *keeper;          /* the client for which it idles outside the pool; else NULL */
    struct upstream *prev, *next; /* idle: newest first, per entry; next also links the retired */
    struct upstream *pool_prev, *pool_next; /* idle: oldest first, per pool */
    uint64_t idle_since_us;
};

enum txn_state {
    TXN_NEW,
    TXN_WAIT,     /* for something that is neither client nor backend: txn->wait */
    TXN_CONNECT,  /* waiting for a backend connection */
    TXN_EXCHANGE, /* request and response flow */
    TXN_TUNNEL,   /* bytes both ways until both ends finished */
    TXN_REPLY,    /* an answer of our own is being sent */
    TXN_DONE
};

/* What a txn in TXN_WAIT waits for. */
struct txn_wait {
    void (*over)(struct txn *t);   /* it took too long: answers, or goes on */
    void (*cancel)(struct txn *t); /* the txn ends: forgets it; may be NULL */
};

/* What the answer says about a rate limit; limit 0: nothing. */
struct txn_rate {
    uint32_t limit, remaining, reset_s, retry_after_s;
};

enum txn_body_out { BODY_AS_IS, BODY_DECHUNK, BODY_ENCHUNK, BODY_DISCARD };

struct txn {
    uint32_t magic;
    uint8_t state; /* enum txn_state */
    struct conn *conn;
    struct worker *worker;
    struct gen *gen;
    const struct conf_listener *listener;
    const struct conf_route *route; /* NULL: not http */
    struct pool_rt *pool;
    struct upstream *up;
    uint32_t entry;              /* reserved place, or INDEX_NONE */
    uint32_t ticket;             /* of its breaker, while half-open */
    uint32_t stick;              /* the backend that the client belongs to, or INDEX_NONE */
    uint64_t stick_key;          /* of the client, for shm/stick.h; 0: not so */
    bool stick_hide, stick_tell; /* our cookie is not passed on; the answer sets it */
    bool retrying;               /* counts as a retry in the pool's budget */
    bool fresh_only;      /* do not take a pooled connection: one just died under this request */
    bool sent_any;        /* this attempt put at least one byte on the wire */
    bool send_broken;     /* the backend takes no more; its answer may still come */
    uint16_t fail_status; /* what the last failed attempt means to the client: 502, 504; 0: none
                             failed */
    struct lb_request lb;
    uint8_t attempts;
    uint8_t step; /* of txn_start.c, the next */
    const struct txn_wait *wait;
    uint64_t wait_until_us;
    uint64_t started_us, sent_us; /* head received; request handed to the backend connection */

    /* the request, as later steps need it (the head itself may be gone) */
    bool req_is_head, req_is_connect, req_idempotent, req_keep_alive, req_upgrade, req_http10,
        req_wants_html;
    uint8_t req_body;        /* enum http1_body */
    bool req_done;           /* the whole request was read from the client */
    bool req_replayable;     /* all that was sent is still in up_head */
    uint32_t req_keep_bytes; /* of its body, to be sent again */
    uint64_t req_left;       /* BODY_LENGTH: bytes not yet taken from the client */
    uint64_t req_body_bytes;
    struct http1_chunked req_chunked;
    uint32_t req_ready; /* validated body bytes at the start of conn->in, not yet sent */
    struct buf
        *up_head; /* request head (and a small body) for the backend; kept while replayable */

    struct buf *target; /* what the backend is asked for instead of the client's target, or NULL */
    struct buf *fields; /* header fields for the answer that depend on the request, or NULL */
    uint32_t fields_block; /* how many bytes of it every answer gets; the rest is for errors */
    struct side *side;     /* the question whether it may pass, or NULL */
    struct check *check;   /* a password that is being checked, or NULL */
    struct buf *claims;    /* what a token says, as header fields for the backend, or NULL */
    char made_id[32];      /* X-Request-ID made here; empty: none yet */
    uint64_t trace[2];     /* its trace; 0, 0: not looked for */
    bool trace_due;        /* which begins here: the backend is to be told */

    /* the response */
    struct http1_head *res; /* while a response head arrives */
    bool res_head_done, res_done;
    bool res_upstream_keep; /* the backend connection may be used again */
    uint8_t res_body;       /* enum http1_body */
    uint8_t res_out;        /* enum txn_body_out */
    uint16_t status;        /* of the answer to the client, 0: none yet */
    uint64_t res_left;
    struct http1_chunked res_chunked;
    uint32_t res_ready;                  /* bytes at the start of rbuf to send to the client */
    struct pipe *to_client, *to_backend; /* bytes of a big body on their way; NULL: none wait */
    bool res_spliced, req_spliced;       /* so the rest of the body goes this way too */
    struct buf *head_out;                /* head or whole local answer for the client */
    struct buf *rbuf;                    /* bytes from the backend */
    bool client_close;                   /* close the client connection after this answer */
    bool client_started;                 /* a byte of an answer was handed to the client */
    uint8_t coding;                      /* enum conf_coding that the client takes */
    uint8_t recoded;                     /* enum compress_head: what the answer's head says */
    bool holds_weak;                     /* it asks about an answer that was compressed */
    struct compressor *compressor;       /* between rbuf and the client, or NULL */

    /* tunnel */
    bool bulk_in, bulk_out; /* much came at once from the client, from the backend */
    bool client_eof, up_eof, client_shut, up_shut; /* FIN received from / sent to each side */
    bool held_in, held_out;       /* bytes for the backend, for the client wait in the batch */
    bool small_in, small_out;     /* little came last: it may wait (worker/ahead.h) */
    bool torn;                    /* some that the batch did not get rid of are lost */
    uint64_t bytes_in, bytes_out; /* from and to the client */
    struct txn_rate rate;
    bool failed;      /* no answer from a backend could be given */
    bool aborted;     /* the client gave up */
    const char *end;  /* why it ended early, static text */
    struct txn *next; /* retired; or behind it in the queue */
    struct txn *queue_prev;
    uint64_t queued_us;       /* since when it waits for a place */
    struct access_note *note; /* NULL: no access log */
    struct side *mirror;      /* its copy, while the body comes; or NULL */
    struct txn_cache *cache;  /* NULL: nothing to do with the response cache */
    bool keeps;               /* the body on its way is being kept */
    bool stored;              /* the answer comes from the cache */
    bool revalidates;         /* the request asks whether a stored response is still good */
    bool quiet;               /* nobody asked for it: it is in no books but the backend's */
};

struct worker {
    struct child *child;
    struct ev_loop *loop;
    struct table *table;
    uint32_t slot;
    struct checker *checker; /* NULL: no password was checked yet */
    struct gen *gen;         /* current */
    struct gen *offered;     /* built, not yet current */
    struct gen *gens;        /* all that live */
    struct acceptor *acceptors;
    struct conn *conns; /* open client connections */
    uint32_t conn_count;
    bool draining;
    struct handover *handover; /* who takes the connections of this one, which leaves; or NULL */
    uint32_t cuts_seen;        /* header.cuts as of the last look (cut.h) */
    uint32_t moved_count;      /* connections that keep an older generation's listener */
    uint64_t starved_us;       /* when it was last said that there is no descriptor left */
    uint64_t refused_us;       /* ... that a connection without an acceptable PROXY header came */
    uint64_t now_us;           /* monotonic, once per loop iteration */
    struct tls_turns {
        struct tls *first, *last; /* handshakes that wait for their turn */
        uint32_t steps;           /* given out in this iteration */
    } tls_turns;                  /* worker/tls_turns.h */
    uint64_t tls_said_us;         /* when a failed handshake with a backend was last said */
    uint64_t client_limit_us;     /* when a client last had too many connections */
    uint64_t h2_said_us;          /* when a broken HTTP/2 connection was last said */
    struct ev_check clock;
    struct ev_prepare reaper;
    struct ev_timer pause; /* accepting is paused: at the connection limit or out of descriptors */
    struct ev_timer sweep; /* closes idle upstreams */
    struct ev_timer queue_timer;
    struct queue {
        struct txn *first, *last;
    } queues[POOL_MAX];
    uint32_t queued; /* in all of them */
    bool queue_due;  /* a place became free in this iteration */
    struct slab side_slab;
    uint32_t side_count; /* requests of our own */
    struct slab cache_slab;
    struct cache_list {
        struct txn_cache *first, *last;
    } cache_fills; /* requests whose answers are being kept, the one that grew longest ago first */
    struct cache_waiters {
        struct cache_list list;
        uint32_t count;
        struct ev_timer timer;
    } cache_waiters;              /* requests that wait for the fetch of another */
    uint64_t cache_filling_bytes; /* of bodies being kept */
    uint32_t cache_serial;        /* of the last fetch for many */
    uint32_t cache_refreshes;     /* fetches for nobody under way */
    struct slab stream_slab, conn_slab, txn_slab, upstream_slab, head_slab, note_slab;
    struct access_buffer *access[CHILD_LOGS_MAX]; /* by sink */
    struct peer_memo {
        struct peer peer;
        uint32_t len;
        char text[48];
    } peer_memo; /* the last one that was written: worker/peer.h */
    struct buf_pool bufs;
    struct udp *udp;                 /* NULL: no listener of this kind yet */
    struct compressors *compressors; /* NULL: none was needed yet */
    struct pipe *pipes;              /* empty ones */
    uint32_t pipes_kept, pipes_open;
    uint64_t pipes_retry_us; /* none is asked for before */
    struct conn *retired_conns;
    struct txn *retired_txns;
    struct upstream *retired_upstreams;
    struct h2_backend *h2_of[ENTRY_MAX], *h2_all; /* HTTP/2 connections to backends */
    struct upstream *idle[ENTRY_MAX];             /* newest first */
    struct upstream *idle_old[POOL_MAX];          /* oldest first */
    struct upstream *idle_new[POOL_MAX];
    uint32_t idle_count[POOL_MAX];
    /* conf_pool.keepalive and keepalive_idle_ms as of the last connection put back */
    uint32_t idle_keep[POOL_MAX], idle_ms[POOL_MAX];
    uint32_t idle_seen; /* header.membership as of the last look for those whose backend is gone */
    uint64_t random[2]; /* xorshift128+ state: request ids, draws of algorithms */
};

/* The generation that a connection's next request begins with. */
static inline struct gen *conn_gen(const struct conn *c)
{
    return c->gen ? c->gen : c->worker->gen;
}
static inline const struct conf_listener *conn_listener(const struct conn *c)
{
    return conn_gen(c)->by_row[c->listener_row];
}
/* xorshift128+ (Vigna 2014): unique enough to find a request again, not a secret. */
static inline uint64_t worker_random(struct worker *w)
{
    uint64_t a = w->random[0], b = w->random[1];
    w->random[0] = b;
    a ^= a << 23;
    w->random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return w->random[1] + b;
}
static inline struct cell *worker_cell(const struct worker *w, uint32_t entry)
{
    return table_cell(w->table, w->slot, entry);
}
static inline struct lcell *worker_lcell(const struct worker *w, uint32_t listener_row)
{
    return table_lcell(w->table, w->slot, listener_row);
}

#endif
