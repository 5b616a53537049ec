/*
 * shm/table_int.h: what the files of the table share among themselves; nobody else includes it.
 */
#ifndef BALLAST_SHM_TABLE_INT_H
#define BALLAST_SHM_TABLE_INT_H

#include <dirent.h>
#include <sys/types.h>
#include "shm/table.h"

#define TABLE_PREFIX "ballast."
#define TABLE_ASIDE  ".old"     /* behind the name of one that an upgrade replaces */
#define TABLE_DIR    "/dev/shm" /* where Linux's shm_open puts its objects */

#define TABLE_SOCKET ".lease" /* the socket beside it, where the broker of leases listens */

/* Opens the object of a master pid for reading; -1 with errno. */
int table_open(uint32_t master_pid) MUST_CHECK;
/* Copies the header without mapping it, so that a file cut short is no SIGBUS. 0 when it is a table
 * this program reads; -1 with why. */
int table_read_header(int fd, struct table_header *out, char *why, size_t why_cap) MUST_CHECK;
/* Maps the first bytes of the object t->fd for reading. Sections behind them must not be touched.
 * 0, or -1 with errno. */
int table_map_begin(struct table *t, size_t len_bytes) MUST_CHECK;
/* Next object of ours in an open TABLE_DIR: its pid, 0 at the end. */
uint32_t table_next_object(DIR *dir);
/* Removes the name, and the socket beside it. 0, or -1 with errno. */
int table_remove(uint32_t master_pid);

/* Facts of this host that make a pid unambiguous. */
struct table_host {
    char boot_id[40];
    uint64_t pid_namespace;
};
void table_host_read(struct table_host *out);
/* Start time of a process in ticks since boot, 0 when it does not run (a zombie does not). */
uint64_t table_start_ticks(uint32_t pid);

enum table_life {
    TABLE_ALIVE,
    TABLE_DEAD,
    TABLE_FOREIGN
}; /* foreign: pids of another namespace, nothing can be said */
enum table_life table_life(const struct table_header *h);

/* Backs the first units of the hash heap with memory. Lock held. 0, or -1 with errno. */
int table_reserve_hash(struct table *t, uint32_t units) MUST_CHECK;
/* The same for the first places of a pool's loads. */
int table_reserve_loads(struct table *t, uint32_t pool, uint32_t places) MUST_CHECK;
/* Backs rate limit rows [0, wanted), and their cells in every slot in use, with memory; and units
 * of their heap. Given back, units are zeros when they are backed again. Lock held. 0, or -1 with
 * errno. */
int table_reserve_rates(struct table *t, uint32_t wanted) MUST_CHECK;
int table_reserve_rate_units(struct table *t, uint32_t unit, uint32_t units) MUST_CHECK;
void table_release_rate_units(struct table *t, uint32_t unit, uint32_t units);
/* Memory for the rows of leases, and for the cells of one of them. The same. */
int table_reserve_grants(struct table *t) MUST_CHECK;
int table_reserve_grant_cells(struct table *t, uint32_t row, uint32_t entries) MUST_CHECK;
/* Memory for so many blocks and buckets of the response cache. The same. */
int table_reserve_cache(struct table *t, uint32_t blocks, uint32_t buckets) MUST_CHECK;
/* Builds a pool's hash table of the kind in memory of its own: *made is the caller's to free,
 * *count its points or places, 0 when the pool has no member of any weight. Lock held. 0, or -1 no
 * memory. */
int hashtable_build(const struct table *t, uint32_t pool, uint32_t kind, void **made,
                    uint32_t *count) MUST_CHECK;

/* After a holder of the lock died: makes member lists and counts whole again. */
void table_repair(struct table *t);

#endif
