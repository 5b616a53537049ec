/*
 * base/clock.h: time. Monotonic time orders and measures; wall time is only ever shown. In a
 * process with an event loop prefer the loop's cached time (ev_now) for deadlines; these calls cost
 * about 30 ns each.
 */
#ifndef BALLAST_BASE_CLOCK_H
#define BALLAST_BASE_CLOCK_H

#include "base/base.h"

uint64_t clock_mono_us(void); /* CLOCK_MONOTONIC: the same in every process of the host */
uint64_t clock_mono_ms(void);
uint64_t clock_wall_ms(void); /* CLOCK_REALTIME, ms since 1970 */
/* RFC 3339 in UTC with milliseconds, "2026-01-31T12:34:56.789Z"; out holds at least 25 bytes.
 * Returns out. */
char *clock_format_rfc3339(uint64_t wall_ms, char *out, size_t cap);

#endif
