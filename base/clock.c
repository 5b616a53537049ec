/*
 * base/clock.c: see base/clock.h.
 */
#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000u;
}

uint64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000u;
}

char *clock_format_rfc3339(uint64_t wall_ms, char *out, size_t cap)
{
    assert(cap >= 25);
    time_t seconds = (time_t)(wall_ms / 1000u);
    struct tm tm;
    if (wall_ms / 1000u > 253402300799u || !gmtime_r(&seconds, &tm)) { /* past the year 9999 */
        snprintf(out, cap, "9999-12-31T23:59:59.999Z");
        return out;
    }
    size_t len = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, cap - len, ".%03uZ", (unsigned)(wall_ms % 1000u));
    return out;
}
