/*
 * client/client_int.h: what the files of the client library share among themselves. Everything of a
 * client is guarded by its lock.
 */
#ifndef BALLAST_CLIENT_INT_H
#define BALLAST_CLIENT_INT_H

#include <pthread.h>
#include "client/ballast_client.h"
#include "shm/purse.h"
#include "worker/lb/own.h"

#define POOL_BUCKETS 64u

/* A pool that was asked for. Lives as long as the client: picks refer to it by number. */
struct client_pool {
    struct client_pool *next; /* in its bucket */
    char name[NAME_MAX_BYTES];
    uint32_t number;
    uint32_t membership; /* of the table, when the row was looked for */
    uint32_t row;        /* INDEX_NONE: the table has none of this name */
    struct lb_view view; /* of an algorithm when `row` has one */
    struct lb_own own;
    uint32_t *everybody; /* room for all members, for pools that ask anyone when nobody is usable */
    uint32_t everybody_cap;
};

/* lease.c */
struct client_lease {
    int fd; /* -1: the broker does not know us, or not yet again */
    uint32_t row, seq;
    uint32_t broker; /* its pid */
    uint32_t number; /* which lease it is, of those this client has had; picks of another have no
                        place in it */
    uint64_t id;     /* tells it from others of this process */
    uint64_t retry_us;
    struct purse *purse; /* NULL: none */
};

struct ballast_client {
    pthread_mutex_t lock;
    atom32 *born; /* client/born.h */
    struct table_wish wish;
    char *conf_path;
    uint64_t stale_us, fail_timeout_us;
    uint32_t max_fails;
    bool keep_when_stale;
    bool uncounted;           /* takes no part in leases */
    struct net_addr fallback; /* len_bytes 0: none */
    struct table table;       /* base NULL: none is followed */
    bool fresh;
    struct client_lease lease;
    enum ballast_result refusal; /* of the broker, during a pick; BALLAST_OK: none */
    uint32_t epoch; /* grows with each table, and in a child: picks of before are not of this one */
    uint64_t look_us, search_us; /* when to look at the heartbeat, for another table, next */
    uint64_t draws;              /* state of the random numbers */
    struct lb_own_row *rows;     /* ENTRY_MAX */
    struct client_pool *buckets[POOL_BUCKETS];
    struct client_pool **pools; /* by number */
    uint32_t pool_count;
    char search_why[256]; /* what the last search said */
    char why[320];        /* no table, or an old one */
};

/* Takes the lock; in a new child, makes the client its own first. */
void client_lock(struct ballast_client *c);
void client_unlock(struct ballast_client *c);
/* Looks, now and then, whether the instance lives, and for a new one if not. Lock held. */
void client_look(struct ballast_client *c, uint64_t now_us);
uint64_t client_random(struct ballast_client *c);

/* The pool of this name; NULL: the table never had one, or no memory. Lock held. */
struct client_pool *pool_named(struct ballast_client *c, const char *name);
/* Brings its view up to date. BALLAST_OK: it can be asked. */
enum ballast_result pool_refresh(struct ballast_client *c, struct client_pool *p,
                                 uint64_t now_us) MUST_CHECK;
/* Another table, or another process: nothing of what was known of pools is true any more. */
void pools_forget(struct ballast_client *c);
void pools_free(struct ballast_client *c);

#endif
