/*
 * health/pace.h: when the next check of a backend is due. Pure: the caller brings a random word.
 * Delays are seconds, as libev wants them, counted from the start of a check.
 *
 *   first    within 50 ms of the backend's appearance; when many appear together they are spread,
 * 0.2 ms for each (10,000 backends: over 2 s), at most over one interval second   anywhere in the
 * interval that follows, so that backends which began together do not go on together then interval,
 * +-10 % unsure   (a verdict is changing) interval / 4, but not under one second, and never slower
 * than the interval, +-10 %
 */
#ifndef BALLAST_HEALTH_PACE_H
#define BALLAST_HEALTH_PACE_H

#include "base/base.h"

double pace_first_s(uint32_t interval_ms, uint32_t fresh_count, uint64_t random);
double pace_phase_s(uint32_t interval_ms, uint64_t random);
double pace_next_s(uint32_t interval_ms, bool unsure, uint64_t random);

#endif
