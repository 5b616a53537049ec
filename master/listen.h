/*
 * master/listen.h: listening sockets. The master opens them, keeps them for ever while they are
 * configured, and hands copies to its children; the death of a worker closes nothing, its accept
 * queue waits for the successor. A TCP address of a listener is a group of one SO_REUSEPORT socket
 * per worker, in the order of the workers; a unix socket, an admin address and a socket from the
 * service manager are one socket shared by whoever serves it. A generation is prepared (bound),
 * armed (listening), committed; or aborted.
 */
#ifndef BALLAST_MASTER_LISTEN_H
#define BALLAST_MASTER_LISTEN_H

#include "master/state.h"

/* Binds what the configuration names and is not there; writes bind ids. workers: how many sockets a
 * group gets. -1 with problems in errors. */
int listen_prepare(struct master *m, struct conf *conf, uint32_t workers,
                   struct conf_errors *errors) MUST_CHECK;
/* Prepared sockets begin to take connections. -1 with a problem in errors. */
int listen_arm(struct master *m, struct conf_errors *errors) MUST_CHECK;
void listen_commit(struct master *m); /* closes what is not named any more */
void listen_abort(struct master *m);  /* closes what was prepared */
/* A group keeps only the sockets of the first workers. */
void listen_trim(struct master *m, uint32_t workers);
void listen_close_data(struct master *m); /* all but those of admin */
void listen_close_all(struct master *m);

struct listen_group *listen_find(const struct master *m, uint32_t id);
/* The sockets of a process for a configuration, into out (malloc'd by the caller for
 * listen_count_max). Returns the count. fresh: only those that the current generation does not
 * have. */
uint32_t listen_of(const struct master *m, const struct process *p, const struct conf *conf,
                   bool fresh, struct child_listen *out);
uint32_t listen_count_max(const struct conf *conf);

/* LISTEN_FDS of the service manager (sd_listen_fds(3)): groups that no generation names yet. Before
 * anything else opens descriptors. */
void listen_inherit(struct master *m);
/* Closes inherited sockets that the first configuration does not name, with a warning. */
void listen_inherit_end(struct master *m);

#endif
