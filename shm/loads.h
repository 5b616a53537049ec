/*
 * shm/loads.h: who of a pool has the least load, found without looking at everybody. A tournament
 * per pool over its members' places: a leaf is one member's load as a word, a node the best of its
 * eight children. The leaf is a function of the table's other words (lanes, weight, health, mode,
 * ...), a node one of its children, and whoever changes one of them stores what follows and looks
 * again until it is right: so the last to store has seen what the others changed before. What a
 * process killed in between leaves behind is a node a moment old: it says who is asked first and
 * nothing else (a place is still reserved exactly), and it is put right when the master reclaims
 * that process's slot, and at any change of the pool.
 *
 * Members of equal load take turns in proportion to their weight: the low bits of a leaf are its
 * place in a line (stride scheduling, Waldspurger & Weihl 1995), moved on by 1/weight at each pick.
 */
#ifndef BALLAST_SHM_LOADS_H
#define BALLAST_SHM_LOADS_H

#include "shm/count.h"

enum loads_kind {
    LOADS_NONE,
    LOADS_COUNT,    /* requests in flight */
    LOADS_WEIGHTED, /* requests in flight for the weight */
    LOADS_LATENCY   /* latency x (1 + 0.1 x in flight), for the weight */
};

/* What the pool's algorithm needs. Gives the members their places, or takes them back. Lock held.
 * Without memory the pool has none (the algorithm then looks at every member), and the log says so.
 */
void loads_set_kind(struct table *t, uint32_t pool, enum loads_kind kind);
/* A member comes or goes. Lock held. loads_add: before the row is seen by anybody; 0, or -1 with
 * errno when there is no memory. */
int loads_add(struct table *t, uint32_t pool, uint32_t entry) MUST_CHECK;
void loads_remove(struct table *t, uint32_t entry);
/* Gives all members new places (the lock's last holder was killed). Lock held. */
void loads_rebuild(struct table *t, uint32_t pool);

/* A word that the member's load follows from has changed. picked: it was given a request, and goes
 * to the end of the line. Any process with a place. */
void loads_follow(struct table *t, uint32_t entry, bool picked);
static inline void loads_update(struct table *t, uint32_t entry, bool picked)
{
    if (UNLIKELY(word_get(&t->entries[entry].leaf) != 0))
        loads_follow(t, entry, picked);
}
/* Computes everything again if the pool changed since somebody last did. Any process. */
void loads_refresh(struct table *t, uint32_t pool);
/* Some leaf or node of any pool may be out of date: views refresh at their next pick. */
void loads_suspect(struct table *t);

enum loads_found {
    LOADS_FOUND,
    LOADS_FULL,   /* all that could be asked are at their limit */
    LOADS_UNKNOWN /* no tournament, or it knows nobody: look at every member */
};
/* The least loaded member that is not among the tried entries. Reads only. */
enum loads_found loads_least(const struct table *t, uint32_t pool, const uint32_t *tried,
                             uint32_t tried_count, uint32_t *entry);

/* The score a leaf is made from, smaller is better; for tools and tests. Negative: not usable.
 * INFINITY: at its limit. */
float loads_score(const struct table *t, uint32_t entry, enum loads_kind kind);
/* The same from its parts. weight: times the share it has in a slow start; with LOADS_COUNT the
 * share alone. */
float loads_rate(enum loads_kind kind, uint32_t load, float weight, float expected_us);

#endif
