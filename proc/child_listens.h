/*
 * proc/child_listens.h: a child's listening sockets by bind id. Those of an offer are kept apart
 * until GO. Used by proc/child.c; roles see child_listen_fd and child_listens_prune of proc/role.h.
 */
#ifndef BALLAST_PROC_CHILD_LISTENS_H
#define BALLAST_PROC_CHILD_LISTENS_H

#include "proc/role.h"

struct child_listens {
    struct child_listen *items;
    uint32_t count;
};

int child_listens_add(struct child_listens *l, uint32_t bind_id,
                      int fd) MUST_CHECK;          /* -1: no memory, fd not taken */
void child_listens_clear(struct child_listens *l); /* closes them all */
/* Makes room in the child, so that child_listens_merge cannot fail. */
int child_listens_room(struct child *c, const struct child_listens *fresh) MUST_CHECK;
/* Moves fresh sockets to the child's own; one whose bind id is there already replaces nothing and
 * is closed. */
void child_listens_merge(struct child *c, struct child_listens *fresh);
void child_listens_close(struct child *c); /* closes and forgets all of the child's */

#endif
