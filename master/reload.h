/*
 * master/reload.h: LOAD and VALIDATE (in another process: master/reading.h), PLAN, BUNDLE, OFFER,
 * READY (all), GO. Any failure before GO leaves the old generation serving, untouched. One reload
 * at a time; requests that come meanwhile become one more, with the newest file.
 */
#ifndef BALLAST_MASTER_RELOAD_H
#define BALLAST_MASTER_RELOAD_H

#include "master/state.h"

void reload_request(struct master *m, bool from_admin);
void reload_ready(struct process *p, const struct ctl_msg *msg);   /* it can adopt the offer */
void reload_refused(struct process *p, const struct ctl_msg *msg); /* it cannot */
void reload_joined(struct process *p);                /* it began to serve, maybe during a reload */
void reload_lost(struct process *p, const char *how); /* it died before it was ready */
void reload_progress(struct master *m);               /* is everybody ready now? */
bool reload_runs(const struct master *m);
void reload_cancel(struct master *m, const char *why);

#endif
