/*
 * proc/plan.h: what adopting a configuration does to a running instance: what differs (conf_plan),
 * whom it touches (the live table), and which overrides of the API stay or give way. The master at
 * a reload and `ballast plan` ask the same question here.
 */
#ifndef BALLAST_PROC_PLAN_H
#define BALLAST_PROC_PLAN_H

#include "base/json.h"
#include "conf/conf.h"
#include "shm/table.h"

struct plan_note {
    const char *text;
    struct plan_note *next;
    bool superseded; /* the file changed that very field: the override ends */
};

struct plan {
    struct conf_change *changes;
    uint32_t change_count;
    struct plan_note *overrides;
    uint32_t superseded;     /* of the overrides */
    const char *refusals[4]; /* what running processes cannot adopt */
    uint32_t refusal_count;
    uint64_t connections; /* client connections that lose their listener */
    uint64_t in_flight;   /* requests that finish on a backend that goes */
};

/* from may be NULL. Everything lands in the arena. t: may be a read-only map; nothing is locked. */
struct plan plan_make(const struct table *t, const struct conf *from, const struct conf *to,
                      struct arena *arena);
/* Members of an object: changes, overrides (arrays of at most so many sentences), connections,
 * in_flight. */
void plan_write(struct json *j, const struct plan *p, uint32_t most);

#endif
