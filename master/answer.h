/*
 * master/answer.h: telling the world how a reload went: the log, the event ring, the header's
 * counters, and admin when it asked. JSON for admin: {"generation":N,"changes":["pool app: backend
 * b3 added",...]} or {"errors":["file:line: error: ...",...]}.
 */
#ifndef BALLAST_MASTER_ANSWER_H
#define BALLAST_MASTER_ANSWER_H

#include "master/state.h"
#include "proc/plan.h"

void answer_changed(struct master *m, const struct plan *plan, bool to_admin);
void answer_failed(struct master *m, const struct conf_errors *errors, bool to_admin);

#endif
