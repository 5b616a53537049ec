/*
 * shm/clients.h: how many connections each client has, exact over all workers. Each worker counts
 * its own in a hash table that only it writes (shm/lanes.h, the same idea): a cell is one atomic
 * word, tag and count. A place is taken in one's own table first, then all tables are asked; of two
 * workers that take the last place at once at least one sees both and gives its own back. The table
 * of a worker that died is cleared by the master: nothing leaks, nothing is repaired.
 *
 * A table has room for four times max_connections of the first configuration that limits clients.
 * A client that finds no cell all the same is not limited.
 */
#ifndef BALLAST_SHM_CLIENTS_H
#define BALLAST_SHM_CLIENTS_H

#include "shm/count.h"

#define CLIENTS_WINDOW 32u /* cells in which a client can be */
#define CLIENTS_NONE   UINT32_MAX

/* Master, before a generation that limits clients serves: memory for the tables of all slots in use
 * (slot_claim sees to later ones). Lock held. 0, or -1 with errno. */
int clients_prepare(struct table *t, uint32_t max_connections) MUST_CHECK;

/* One connection more of this client, if it then has at most `limit`. *cell is for clients_give
 * (CLIENTS_NONE: it is not counted). key: a SipHash under the instance's key. */
bool clients_take(struct table *t, uint32_t slot, uint64_t key, uint32_t limit,
                  uint32_t *cell) MUST_CHECK;
void clients_give(struct table *t, uint32_t slot, uint32_t cell);
/* Connections of this client now. */
uint32_t clients_count(const struct table *t, uint64_t key);
/* The worker of this slot is dead. */
void clients_reclaim(struct table *t, uint32_t slot);

#endif
