/*
 * cli/instance.h: which running instance a command means. Tables are found by their names in
 * /dev/shm; a dead master's table is still readable, so the read-only views can show it. Nothing
 * here writes.
 */
#ifndef BALLAST_CLI_INSTANCE_H
#define BALLAST_CLI_INSTANCE_H

#include "shm/table.h"

struct instance_choice {
    const char *conf_path; /* -c FILE; NULL: not given */
    uint64_t pid;          /* --pid N; 0: not given */
    bool dead_too;         /* views: without a live instance the newest dead one will do */
};

struct instance {
    struct table table; /* attached read-only */
    uint32_t pid;       /* of the master */
    bool alive;
};

/* Attaches the instance that is meant. 0, or -1 with a sentence in why. */
int instance_find(const struct instance_choice *choice, struct instance *out, char *why,
                  size_t why_cap) MUST_CHECK;
void instance_close(struct instance *i);
/* Does its master not run because somebody stopped it (SIGSTOP, a debugger)? */
bool instance_is_stopped(const struct instance *i);

#endif
