/*
 * health/target.h: one backend under watch: its verdict, when it is due, the check that runs. One
 * object per live entry of the table, known by (entry, incarnation); the schedule makes and drops
 * them and says when a due one may start.
 */
#ifndef BALLAST_HEALTH_TARGET_H
#define BALLAST_HEALTH_TARGET_H

#include <sys/queue.h>
#include "health/check.h"
#include "health/custom.h"
#include "health/lease.h"
#include "health/verdict.h"

enum target_phase { TARGET_IDLE, TARGET_WAITING, TARGET_RUNNING };

struct schedule;

struct target {
    uint32_t magic;
    uint32_t entry, incarnation;
    uint32_t round;          /* of the sync that saw it last */
    enum target_phase phase; /* idle: the timer runs; waiting: due, in the schedule's queue */
    bool spread;             /* it has its own place in the interval */
    const struct conf_health *health; /* its own or its pool's, of the current generation */
    struct custom *custom;            /* how it wants to be checked itself; NULL: it did not say */
    struct verdict verdict;
    struct schedule *schedule;
    ev_timer due;
    double started_s;    /* ev_now at the start of the last check */
    struct lease *lease; /* while running */
    struct check check;
    TAILQ_ENTRY(target) link; /* while waiting */
};
TAILQ_HEAD(target_queue, target);

#endif
