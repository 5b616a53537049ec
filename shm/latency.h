/*
 * shm/latency.h: how fast backends answer, as least_response_time sees it: one word per backend and
 * one per pool, a moving average and when it was last fed. Any worker feeds them, by
 * compare-and-swap. An answer counts for 1/32 of the average, or more after a pause: after 10 s for
 * half. So one answer after a long time says what the backend is like now, not what it was like.
 */
#ifndef BALLAST_SHM_LATENCY_H
#define BALLAST_SHM_LATENCY_H

#include "shm/count.h"

#define LATENCY_FAILED_US 1000000u /* a failed attempt counts as an answer that took so long */

/* A backend answered in took_us. The caller holds a place there. Nothing in pools whose algorithm
 * does not ask. now_us: clock_mono_us. */
void latency_feed(struct table *t, uint32_t entry, uint64_t took_us, uint64_t now_us);
/* Microseconds; 0: never measured. */
double latency_us(const struct entry *e);
/* Of the pool's requests altogether. */
double latency_pool_us(const struct pool_row *p);
/* What a backend is taken for: as measured, else the pool's average, else 1. In steps of at most
 * 6 %, so that those as fast as each other are equals. */
float latency_expected(const struct table *t, const struct entry *e);
/* Is it time to ask a backend that gets no requests, to see whether it became faster? Its word:
 * never measured, or not for 2 s and 20 times what it takes. */
bool latency_is_due(uint64_t word, uint64_t now_us);
/* One caller among all that share the word (pool_row.probe_us) gets true per interval. */
bool latency_ticket(atom64 *next, uint64_t now_us, uint64_t interval_us);

/* The same for words that somebody keeps beside the table: feed one, the one fed last of two, and
 * what a backend is taken for by its word and its pool's. */
void latency_feed_word(atom64 *word, uint64_t took_us, uint64_t now_us);
uint64_t latency_newer(uint64_t a, uint64_t b);
float latency_expected_of(uint64_t word, uint64_t pool_word);

#endif
