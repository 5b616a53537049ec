/*
 * shm/table.h: the segment itself: create, attach, grow, find. Master creates it before the first
 * fork and everybody inherits the mapping; tools attach read-only by name. The only file that calls
 * shm_open and mmap of the table. The object is "/ballast.<master pid>", mode 0600, or 0640
 * (table_share), and is removed at a clean exit; after a crash it stays readable until the next
 * start on this host removes what dead masters left (table_sweep).
 */
#ifndef BALLAST_SHM_TABLE_H
#define BALLAST_SHM_TABLE_H

#include "shm/layout.h"

struct table {
    struct table_header *header;
    char *base;
    size_t mapped_bytes;
    int fd;
    bool read_only;
    /* resolved sections */
    struct slot *slots;
    struct listener_row *listeners;
    struct pool_row *pools;
    struct entry *entries;
    char *cells, *lcells, *pcells, *hash, *loads, *rcells, *rate_heap, *client_cells;
    atom64 *sticks;
    struct rate_row *rates;
    struct grant_row *grants;
    struct grant_totals *grant_totals;
    atom32 *grant_cells;
    struct event *events;
    /* the response cache, shm/cache.h */
    atom64 *cache_words, *cache_index;
    atom32 *cache_next;
    struct cache_entry *cache_entries;
    struct cache_marks *cache_marks;
    atom16 *cache_pins;
    struct ccell *ccells;
    char *cache_data;
};

/* Creates the table of this process (the master). why gets a sentence an operator can act on
 * ("/dev/shm is full: needs 3 MiB more"). Returns 0 or -1. */
int table_create(struct table *t, const char *conf_path, char *why, size_t why_cap) MUST_CHECK;
/* The table that another program made in this very process, by its descriptor (taken on success):
 * when this program reads its layout. -1 with why. */
int table_adopt(struct table *t, int fd, char *why, size_t why_cap) MUST_CHECK;
/* Renames this process's object, so that table_create makes another one, and back. The last one
 * removes what was renamed. */
int table_set_aside(void) MUST_CHECK;
void table_bring_back(void);
void table_remove_aside(void);
/* Maps the table of a master pid read-only; checks magic, version, sizes. Works when every process
 * is dead. */
int table_attach(struct table *t, uint32_t master_pid, char *why, size_t why_cap) MUST_CHECK;
/* The newest live instance's master pid whose conf_path matches (conf_path NULL: any); 0: none;
 * *more: others match too. */
uint32_t table_find(const char *conf_path, bool *more);
/* Is the master of this table still running? */
bool table_master_alive(const struct table *t);
/* Removes objects of dead masters; returns how many. */
unsigned table_sweep(void);
/* Who may read the object besides its owner: the members of this group, or nobody. 0, or -1 with
 * errno. */
#define TABLE_NO_GROUP ((gid_t)-1)
int table_share(struct table *t, gid_t group) MUST_CHECK;
void table_unlink(struct table *t);
/* Where the broker of leases listens for this master: beside the object. */
void table_socket_name(uint32_t master_pid, struct sockaddr_un *out);
void table_close(struct table *t);

/* Backs the rows in use now, and their cells in every slot in use, with memory (posix_fallocate),
 * so that touching them can never be a SIGBUS. Under the lock. Cheap when there is nothing to do.
 * Returns 0, or -1 with errno (ENOSPC). The functions that add rows and claim slots do this
 * themselves, before anybody sees the row. */
int table_reserve(struct table *t) MUST_CHECK;
/* The same for what is about to be used: rows [0, entries), ... and the cells of one more slot
 * (INDEX_NONE: none). */
int table_reserve_for(struct table *t, uint32_t entries, uint32_t pools, uint32_t listeners,
                      uint32_t slot) MUST_CHECK;

/* The one lock: membership and row allocation. Never on the data path, not recursive. It survives
 * the death of a holder: the next one to take it repairs the member lists first. */
void table_lock(struct table *t);
void table_unlock(struct table *t);

static inline struct cell *table_cell(const struct table *t, uint32_t slot, uint32_t entry)
{
    return (struct cell *)(void *)(t->cells +
                                   ((size_t)slot * ENTRY_MAX + entry) * sizeof(struct cell));
}
static inline struct lcell *table_lcell(const struct table *t, uint32_t slot, uint32_t listener)
{
    return (struct lcell *)(void *)(t->lcells + ((size_t)slot * LISTENER_MAX + listener) *
                                                    sizeof(struct lcell));
}
static inline struct pcell *table_pcell(const struct table *t, uint32_t slot, uint32_t pool)
{
    return (struct pcell *)(void *)(t->pcells +
                                    ((size_t)slot * POOL_MAX + pool) * sizeof(struct pcell));
}
static inline struct loads *table_loads(const struct table *t, uint32_t pool)
{
    return (struct loads *)(void *)(t->loads + (size_t)pool * sizeof(struct loads));
}

#endif
