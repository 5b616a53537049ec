/* broker/broker_int.h: what the files of the broker share among themselves. */
#ifndef BALLAST_BROKER_BROKER_INT_H
#define BALLAST_BROKER_BROKER_INT_H

#include <sys/types.h>
#include "broker/broker.h"
#include "shm/grant.h"
#include "shm/purse.h"

#define LOAN_TICKETS 8u

/* What the broker knows of the tickets of a half-open breaker that a client has: those of one turn
 * of the breaker all have one number. */
struct loan_ticket {
    uint32_t entry, incarnation, ticket;
    uint32_t count; /* 0: free */
};

struct broker;

/* A connection, and what it holds. Without a connection: its client may come back to a new broker.
 */
struct loan {
    uint32_t magic;
    struct broker *broker;
    uint32_t row;  /* INDEX_NONE: it has not said HELLO */
    uint32_t seat; /* in broker.leases */
    int fd;        /* -1: none */
    int pidfd;     /* -1: not watched */
    pid_t pid;     /* 0: of another pid namespace */
    uint64_t start_ticks;
    uint64_t since_us;   /* when it came */
    struct purse *purse; /* NULL: the client has one of an earlier broker, or none */
    int purse_fd;        /* of a purse that is there */
    uint64_t tail;       /* of its reports: how many were read */
    uint32_t *entries;   /* of which it has places */
    uint32_t entry_count, entry_cap;
    bool settled;           /* it said how many places it uses */
    uint32_t granted_entry; /* the last that it was given a place of, */
    uint64_t granted_us;    /* and when; 0: it has been there since */
    struct loan_ticket tickets[LOAN_TICKETS];
    ev_io io, death;
};

#define LOAN_MAGIC   0x1EA5E001u
#define BROKER_MAGIC 0xB20CE201u
/* Leases, and connections that are refused, and those of clients that come back */
#define SEATS (2u * GRANT_MAX)

struct broker {
    uint32_t magic;
    struct child *child;
    struct loan *seats[SEATS];
    bool looks_out; /* for descriptors that clients send: the kernel cannot refuse them */
    uint32_t connections, rows;              /* how many leases have one */
    const struct conf_pool *pools[POOL_MAX]; /* by row; NULL: none */
    ev_io accept;
    ev_timer tick, pause; /* pause: no descriptors */
};

/* role.c: some lease has places now: see to it that they come back. */
void broker_watch(struct broker *b);

/* loan.c */

/* fd: taken; pid as the kernel says it. NULL: no memory or seat, fd is still the caller's. */
struct loan *loan_new(struct broker *b, int fd, pid_t pid);
/* It ends; a live row is closed if `give_back`. */
void loan_end(struct loan *l, bool give_back);
/* Its process ended: as loan_end, and counted. */
void loan_died(struct loan *l);
/* How many places it has. */
uint32_t loan_held(const struct loan *l);
/* Its connection ended: it may come back, as long as its process lives. */
void loan_lost(struct loan *l);
/* What the same process had: by an earlier connection, or from an earlier broker; NULL: nothing. */
struct loan *loan_find_own(const struct loan *l, uint32_t row, uint64_t id);
/* It goes on with the connection of the other one, which ends. */
void loan_take_over(struct loan *l, struct loan *other);
/* Takes a row, if one is free. */
void loan_begin(struct loan *l, uint64_t id);
/* It has a row, and a purse to send, or gets one: a new one if the client never said what it uses
 * by it, for it moves what it knows from the one that it has into the one that it gets. */
bool loan_has_purse(struct loan *l) MUST_CHECK;
/* Those in the table whose clients live: their leases have no connection yet. */
void loans_recover(struct broker *b);
/* Reports are counted, idle places go back to everybody. */
void loan_sweep(struct loan *l); /* may end it, if it has neither a connection nor a place */
/* A place of this backend, and more if that is modest. */
void loan_take(struct loan *l, const struct purse_question *q, struct purse_answer *a);

/* door.c */

void door_on_connect(struct ev_loop *loop, ev_io *w, int events);
void door_on_pause_over(struct ev_loop *loop, ev_timer *w, int events);
void door_watch(struct loan *l);
/* Closes a connection. False: descriptors are queued in it, whose closing could take as long as
 * its client likes, so it is left open for as long as this process lives. */
bool door_close(const struct broker *b, int fd);

/* report.c: counts what a client says, as far as it may say it. */
void report_take(struct loan *l, const struct purse_record *r);
/* Nobody knows what became of the requests that had them. */
void report_drop_tickets(struct loan *l);
/* Those of backends of which it has no place any more. */
void report_drop_idle_tickets(struct loan *l);

#endif
