/*
 * health/schedule.h: which backend is checked when. Follows the table: the members of every
 * configured pool are watched, whoever added them; membership is compared ten times a second.
 * Verdicts live in the table, so neither a reload nor the death of this process forgets them. Run
 * by the health process only.
 *
 * All checks run concurrently, as many as there are descriptors (RLIMIT_NOFILE less a reserve);
 * what is due beyond that waits in order and starts as others end.
 */
#ifndef BALLAST_HEALTH_SCHEDULE_H
#define BALLAST_HEALTH_SCHEDULE_H

#include "proc/role.h"

struct schedule;

/* NULL: no memory. */
struct schedule *schedule_new(struct child *child) MUST_CHECK;
/* Begins to check the backends of child->conf. */
void schedule_begin(struct schedule *s);
/* A new generation: offer makes room for it (0, or -1: no memory), withdraw forgets it, adopt
 * begins to use it (it is child->conf then). Its settings hold from the next check of each backend;
 * the old one is released when the last check that began under it ends. */
int schedule_offer(struct schedule *s, const struct conf *next) MUST_CHECK;
void schedule_withdraw(struct schedule *s);
void schedule_adopt(struct schedule *s);
/* Ends all checks; nothing is pending on the loop afterwards. */
void schedule_stop(struct schedule *s);
void schedule_free(struct schedule *s);

/* How many checks run, and how many are due but wait for a descriptor. */
uint32_t schedule_running(const struct schedule *s);
uint32_t schedule_waiting(const struct schedule *s);

#endif
