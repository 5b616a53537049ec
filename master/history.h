/*
 * master/history.h: the last reloads with their outcome, for GET /lb/reloads. The master keeps
 * them, so that they outlive admin, and sends admin the list whenever it changed or admin is new.
 */
#ifndef BALLAST_MASTER_HISTORY_H
#define BALLAST_MASTER_HISTORY_H

#include "base/json.h"
#include "master/state.h"

#define HISTORY_LINES 200u /* of changes or errors that one reload is remembered by */

/* Remembers one reload; item is a JSON object. */
void history_add(struct master *m, const char *item);
void history_tell(struct master *m);                      /* sends admin the list */
void history_restore(struct master *m, const char *item); /* one that another program remembered */
void history_free(struct master *m);

/* A text to admin: in the message where it fits, in a memfd where it does not. */
void history_send(struct master *m, struct ctl_msg *msg, const char *text, size_t len_bytes);

#endif
