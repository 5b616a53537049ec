#include "health/pace.h"

#define FIRST_MS      50.0
#define FIRST_EACH_MS 0.2
#define FAST_FLOOR_MS 1000u

/* Uniform in [low, high). */
static double between(double low, double high, uint64_t random)
{
    return low + (high - low) * ((double)(random >> 11) * 0x1p-53);
}

static uint32_t fast_ms(uint32_t interval_ms)
{
    uint32_t fast = interval_ms / 4;
    if (fast >= FAST_FLOOR_MS)
        return fast;
    return interval_ms < FAST_FLOOR_MS ? interval_ms : FAST_FLOOR_MS;
}

double pace_first_s(uint32_t interval_ms, uint32_t fresh_count, uint64_t random)
{
    double spread_ms = FIRST_MS + FIRST_EACH_MS * fresh_count;
    if (spread_ms > interval_ms)
        spread_ms = interval_ms;
    return between(0, spread_ms, random) / 1000;
}

double pace_phase_s(uint32_t interval_ms, uint64_t random)
{
    return between(0, interval_ms, random) / 1000;
}

double pace_next_s(uint32_t interval_ms, bool unsure, uint64_t random)
{
    double pace_ms = unsure ? fast_ms(interval_ms) : interval_ms;
    return between(0.9 * pace_ms, 1.1 * pace_ms, random) / 1000;
}
