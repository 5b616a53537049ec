/*
 * proc/role.h: what a role is. A role (worker, health, admin, sample backend) is a table of hooks
 * that the child side of the life cycle (proc/child.c) calls; it never talks to the master itself.
 * master/main.c holds the table of roles and is the only file that names them all.
 */
#ifndef BALLAST_PROC_ROLE_H
#define BALLAST_PROC_ROLE_H

#include <ev.h>
#include "conf/conf.h"
#include "proc/sandbox.h"
#include "shm/slot.h"
#include "shm/table.h"

struct child;

/* "worker 0", "sample 2", "health": how logs, ps and events name a process of this role. Returns
 * out. */
char *role_title(const char *name, enum slot_role slot_role, uint32_t index, char *out, size_t cap);

struct role {
    const char *name; /* as in ps: "ballast: worker 0" */
    enum slot_role slot_role;
    enum sandbox sandbox; /* from its start on */
    /* Builds everything for c->conf; called once, before READY, with c->loop made and listeners in
     * c->listens. 0, or -1 with why. */
    int (*start)(struct child *c, char *why, size_t why_cap);
    /* The master said GO for the first time: begin to serve (start accepting, checking). */
    void (*serve)(struct child *c);
    /* A new generation is offered: build what it needs beside the old one. 0 = ready, -1 = refused
     * with why. May be NULL. */
    int (*offer)(struct child *c, const struct conf *next, char *why, size_t why_cap);
    /* The offered generation became c->conf (the previous one is `old`; it stays mapped until
     * child_release(c, old)). New sockets are in c->listens already; those with a bind id no longer
     * named are closed by the role, then child_listens_prune. */
    void (*go)(struct child *c, const struct conf *old);
    /* The offer was withdrawn: drop what offer built. May be NULL. */
    void (*abort)(struct child *c, const struct conf *next);
    /* Finish: stop watching the listening sockets (they are closed right after), call child_exit(c)
     * when nothing is in flight. deadline_ms: 0 = no limit; proc enforces the limit. Called again
     * when the limit changes. */
    void (*drain)(struct child *c, uint32_t deadline_ms);
    /* A listening socket of a sibling that died and has no successor yet: take what waits in its
     * queue. The descriptor is closed when the hook returns. May be NULL. */
    void (*queue)(struct child *c, uint32_t bind_id, int fd);
    /* Log files were reopened. May be NULL. */
    void (*reopen)(struct child *c);
    /* The process leaves at once: what must not be lost goes now. May be NULL. */
    void (*leave)(struct child *c);
    /* A message of the master for this role (admin: result of a reload). May be NULL. fd: -1, or a
     * descriptor that is closed when the hook returns. */
    void (*message)(struct child *c, uint32_t type, uint32_t number, const char *text, int fd);
};

/* One listening socket that this process accepts on. */
struct child_listen {
    uint32_t bind_id;
    int fd;
};

struct child {
    const struct role *role;
    struct ev_loop *loop;
    struct table *table;
    uint32_t slot;           /* place in the table */
    uint32_t index;          /* worker number */
    const struct conf *conf; /* the generation it serves */
    struct child_listen *listens;
    uint32_t listen_count;
    bool draining;
    bool orphaned; /* the master is dead: another instance may want the addresses */
    void *data;    /* the role's own */
};

/* Runs a child after fork until it exits; never returns. Called by proc/spawn.c only. debug: the
 * log level stays at debug whatever the configuration says. */
void child_main(struct child *c, int control_fd, bool debug) __attribute__((noreturn));
/* The old generation is not referred to any more: unmaps it and tells the master. */
void child_release(struct child *c, const struct conf *old);
/* Nothing left to do after drain: leave with status 0 at the end of this loop iteration. */
void child_exit(struct child *c);
/* An access log that the master opened; kind CHILD_LOG_NONE: there is none of this number. */
#define CHILD_LOGS_MAX 64u
enum child_log_kind {
    CHILD_LOG_NONE,
    CHILD_LOG_FILE,
    CHILD_LOG_PIPE,     /* or a terminal, a device; never blocks */
    CHILD_LOG_BLOCKING, /* the same, shared with others who want it so */
    CHILD_LOG_STREAM,
    CHILD_LOG_DATAGRAM /* syslog: a line each */
};
struct child_log {
    int fd;
    enum child_log_kind kind;
};
const struct child_log *child_log(uint32_t sink);
/* Descriptor of a bind id, or -1. */
int child_listen_fd(const struct child *c, uint32_t bind_id);
/* Closes and forgets listening sockets whose bind id the current configuration does not name. */
void child_listens_prune(struct child *c);
/* Sends a request to the master (admin: CTL_RELOAD). */
int child_ask(struct child *c, uint32_t type, uint32_t number, const char *text) MUST_CHECK;

#endif
