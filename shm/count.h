/*
 * shm/count.h: how a shared word is counted. count_add is for single-writer words (a relaxed load
 * and store, 0.4 ns); the reader sees whole values, possibly a moment old. Sums run over all slots
 * ever used.
 */
#ifndef BALLAST_SHM_COUNT_H
#define BALLAST_SHM_COUNT_H

#include "shm/layout.h"
#include "shm/table.h"

static inline void count_add(atom64 *word, uint64_t n)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline void count_sub(atom64 *word, uint64_t n)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) - n,
                          memory_order_relaxed);
}
static inline uint64_t count_get(const atom64 *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}
static inline uint32_t word_get(const atom32 *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}
static inline void word_set(atom32 *word, uint32_t v)
{
    atomic_store_explicit(word, v, memory_order_release);
}

/* Sums of one counter over all slots: offset is offsetof(struct cell, requests) and the like. */
uint64_t count_cell_sum(const struct table *t, uint32_t entry, size_t offset);
uint64_t count_lcell_sum(const struct table *t, uint32_t listener, size_t offset);
uint64_t count_pcell_sum(const struct table *t, uint32_t pool, size_t offset);

#endif
