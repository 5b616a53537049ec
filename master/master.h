/*
 * master/master.h: the master process: loads and validates, opens sockets, spawns and reaps,
 * reloads, stops. It never touches traffic and its loop never blocks.
 */
#ifndef BALLAST_MASTER_MASTER_H
#define BALLAST_MASTER_MASTER_H

#include "proc/role.h"

struct master_options {
    const char *conf_path;  /* NULL with text */
    const char *conf_text;  /* configuration made from flags (--listen ...) */
    const char *pid_file;   /* overrides the file's */
    bool daemon, debug;     /* debug: log level debug whatever the file says */
    void (*on_ready)(void); /* called once when everything serves; may be NULL */
};

/* Roles by kind; the master knows roles only through this table. */
struct master_roles {
    const struct role *worker, *health, *admin;
    const struct role *broker; /* NULL: leases are never given */
    const struct role *sample; /* NULL unless demo */
    uint32_t sample_count;
};

/* Runs an instance in this process until it ends. Returns the exit status. */
int master_run(const struct master_options *o, const struct master_roles *roles);

#endif
