/*
 * master/state.h: what the master holds while it runs. One struct master per process, passed to
 * every file of this folder; each part is changed by the file named beside it and by no other.
 */
#ifndef BALLAST_MASTER_STATE_H
#define BALLAST_MASTER_STATE_H

#include <ev.h>
#include <sys/types.h>
#include "master/aside.h"
#include "master/master.h"
#include "master/saved_io.h"
#include "proc/bundle.h"
#include "proc/outbox.h"
#include "proc/plan.h"
#include "proc/role.h"

#define MASTER_MAGIC     0x3A57E201u
#define PROCESS_MAGIC    0x9A0CE502u
#define READY_DEADLINE_S 10.0 /* for a new process, and for all of them to take an offer */

struct master;

/* ---- generations: generation.c
 * ----------------------------------------------------------------------------- */
struct generation {
    struct generation *next;
    uint32_t number;
    struct bundle bundle;
    struct conf *conf; /* written until the bundle is sealed, read-only memory afterwards */
    uint64_t holders;  /* bit per slot: processes that refer to it */
};
_Static_assert(SLOT_MAX <= 64, "a bit per slot");

/* ---- processes: processes.c, lifecycle.c
 * ---------------------------------------------------------------------- */
enum process_state {
    PROCESS_NONE,     /* nothing there */
    PROCESS_STARTING, /* forked; owes READY */
    PROCESS_READY,    /* waits for the first GO */
    PROCESS_SERVING,
    PROCESS_OFFERED, /* serves, and owes an answer to the offered generation */
    PROCESS_ADOPTED, /* serves, and is ready for the offered generation */
    PROCESS_DRAINING,
    PROCESS_BACKOFF /* dead; starts again when its timer fires */
};

struct process {
    uint32_t magic;
    enum process_state state;
    struct master *master;
    const struct role *role; /* NULL: this slot is never used */
    uint32_t slot, index;
    char title[32];
    pid_t pid;
    int pidfd, control_fd;
    ev_io control_io, pid_io;
    ev_timer timer; /* READY deadline, backoff, or kill after a drain, by state */
    struct outbox outbox;
    uint64_t started_us;
    uint32_t early_deaths; /* in a row */
    uint64_t beat_us; /* watch.c: the last heartbeat seen, and for how long there was no other */
    uint32_t silent_ms;
    bool stuck;     /* watch.c: reported */
    bool refused;   /* said why it cannot start or adopt: its death is no news */
    bool elsewhere; /* of the program before, with a table of its own */
};

/* ---- listening sockets: listen.c
 * --------------------------------------------------------------------------- */
struct listen_group {
    struct listen_group *next;
    uint32_t id; /* conf_bind.id */
    struct net_addr addr;
    char text[NET_ADDR_STRLEN];
    bool v6only;
    bool datagram;        /* udp: never listens, no connections to steer */
    bool shared;          /* one socket for all processes, else one per worker */
    bool inherited;       /* came from the service manager: bound and listening before us */
    bool borrowed;        /* of the instance for which this process rehearses */
    bool in_use;          /* named by the current generation */
    bool wanted;          /* named by the generation being prepared */
    uint32_t live, count; /* fds[0, live) listen, fds[live, count) are bound only */
    int fds[WORKERS_MAX];
};

struct listen_set {
    struct listen_group *groups;
    uint32_t last_id;
};

/* ---- rows of the table for a generation: adopt.c
 * -------------------------------------------------------------- */
struct added_entry {
    uint32_t entry, incarnation;
};
struct adoption {
    struct added_entry *added; /* made for a generation that does not serve yet */
    uint32_t added_count;
};

/* ---- a reload under way: reload.c
 * ----------------------------------------------------------------------------- */
#define HISTORY_MAX 20u
struct history { /* history.c: the last reloads as JSON objects, oldest first */
    char *items[HISTORY_MAX];
    uint32_t count;
};

struct reading { /* reading.c */
    struct aside aside;
    struct generation *generation; /* being read; NULL: none */
    void (*over)(struct master *m, struct generation *g, struct conf_errors *errors);
};

struct reload {
    struct generation *next; /* offered; NULL: none is */
    struct adoption adoption;
    struct arena arena; /* of the plan */
    struct plan plan;
    uint64_t begun_us;
    ev_timer deadline;
    bool again;             /* asked for once more meanwhile: the newest file wins */
    bool answer_admin;      /* admin waits for the result of this one */
    bool answer_admin_next; /* ... of the one after it */
};

/* ---- leaving: stop.c
 * ------------------------------------------------------------------------------------------ */
enum stop_level { STOP_NONE, STOP_UNLIMITED, STOP_LIMITED, STOP_NOW };

struct stop {
    enum stop_level level;
    bool services; /* the workers are gone, the others were told to leave */
    ev_timer kill; /* who has not left by then is killed */
};

/* ---- what the API changed, on disk: saved.c
 * ------------------------------------------------------------------ */
struct saved {
    ev_timer timer;
    bool due;                    /* something may have changed since the file was written */
    bool failing;                /* it could not be written, and that was said */
    char *written;               /* its text; NULL: there is none */
    char path[SAVED_PATH_BYTES]; /* where that is */
    struct saved_io io;          /* what is being written */
};

/* ---- another program takes over: upgrade.c here, takeover.c there
 * ------------------------------------------- */
enum upgrade_state { UPGRADE_NONE, UPGRADE_TEST, UPGRADE_RELOAD, UPGRADE_REHEARSAL, UPGRADE_EXEC };
struct upgrade {
    enum upgrade_state state;
    bool rehearses; /* the new program can */
    ev_timer timer;
};

/* ---- a program that runs beside this one and says how it went: trial.c */
struct trial {
    struct aside aside;
    int words_fd;
    void (*over)(struct master *m, bool clean, const char *how, const char *words);
};

struct takeover_child {
    pid_t pid; /* 0: none */
    uint32_t index, role;
    int control_fd;
};
struct takeover_health {
    struct takeover_health *next;
    uint32_t health;
    char pool[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
};
struct takeover {
    bool active;    /* until the new workers serve */
    bool rehearsal; /* nothing is taken over: it ends when it could serve */
    bool back;      /* the new program failed, this is the old one again */
    bool rebuilt;   /* the table is a new one */
    char *letter;   /* what was handed over, to hand it back */
    int *fds;       /* named there */
    uint32_t fd_count, control_bytes;
    int table_fd, old_fd; /* old: the program before, to go back to */
    char from[32];        /* its version */
    char *saved;          /* overrides as state_file has them */
    char *configuration;  /* what was served, as text */
    struct takeover_child children[SLOT_MAX];
    struct takeover_health *health;
};

/* ---- access logs: access_logs.c
 * ------------------------------------------------------------------------------------------ */
struct access_sink {
    char *target; /* NULL: free */
    int fd;
};

struct notify {
    int fd; /* -1: nobody wants to know */
    struct net_addr addr;
    char outcome[160]; /* why the last reload was refused; "": it was not */
    ev_timer watchdog;
};

struct master {
    uint32_t magic;
    const struct master_options *options;
    const struct master_roles *roles;
    struct ev_loop *loop;
    struct table table;
    bool table_made;
    char user[256]; /* of children, when root; "": unchanged */
    struct generation *current, *generations;
    uint32_t last_generation;
    struct process processes[SLOT_MAX];
    uint32_t worker_base; /* place of worker 0; the others follow, modulo WORKERS_MAX */
    struct listen_set listens;
    struct adoption first_adoption;
    struct reading reading;
    struct reload reload;
    struct stop stop;
    struct notify notify;
    struct saved saved;
    struct history history;
    struct upgrade upgrade;
    struct trial trial;
    struct takeover takeover;
    char program[4096]; /* path of this program; "": unknown */
    int program_fd;
    int signal_fd, pid_fd, daemon_fd, effective_fd;
    int lease_fd; /* lease_socket.c; -1: none */
    struct access_sink sinks[CHILD_LOGS_MAX];
    char *pid_path; /* NULL: none written */
    ev_io signal_io;
    ev_timer watch; /* watch.c */
    uint64_t watched_us;
    ev_timer rotate; /* a new key for session tickets */
    ev_timer shrink; /* between steering connections away from surplus workers and draining them */
    bool started;    /* every process has served at least once */
    int status;      /* exit status */
};

/* master.c: the first generation serves: its rows, and who looks at them. */
void master_serve(struct master *m);

#endif
