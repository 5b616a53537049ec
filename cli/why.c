/* cli/why.c: see cli/why.h. */
#include "cli/why.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "shm/breaker.h"
#include "shm/passive.h"

#define ERRNO_MAX 4096

const char *why_age(uint64_t ms, char *out, size_t cap)
{
    unsigned long long s = ms / 1000;

    if (s < 60)
        snprintf(out, cap, "%llus", s);
    else if (s < 3600)
        snprintf(out, cap, "%llum %llus", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, cap, "%lluh %llum", s / 3600, s / 60 % 60);
    else
        snprintf(out, cap, "%llud %lluh", s / 86400, s / 3600 % 24);
    return out;
}

/* What the last check found, ": status 503"; nothing when the table does not say. */
static void add_check(const struct entry *e, char out[WHY_BYTES])
{
    size_t len = strlen(out);
    int32_t code = (int32_t)word_get(&e->health_code);

    if (code > 0)
        snprintf(out + len, WHY_BYTES - len, ": status %d", code);
    else if (code < 0 && code > -ERRNO_MAX)
        snprintf(out + len, WHY_BYTES - len, ": %s", strerror(-code));
}

static void say_unhealthy(const struct entry *e, char out[WHY_BYTES])
{
    char age[32];
    uint64_t since_us = count_get(&e->health_since_us), now_us = clock_mono_us();

    snprintf(out, WHY_BYTES, "unhealthy for %s",
             why_age(now_us > since_us ? (now_us - since_us) / 1000 : 0, age, sizeof(age)));
    add_check(e, out);
}

bool why_out(const struct entry *e, char out[WHY_BYTES])
{
    uint32_t mode = word_get(&e->mode);

    out[0] = '\0';
    if (mode == MODE_MAINTENANCE)
        snprintf(out, WHY_BYTES, "in maintenance");
    else if (mode == MODE_DRAINING)
        snprintf(out, WHY_BYTES, "draining: no new requests");
    else if (word_get(&e->health) == HEALTH_UNHEALTHY)
        say_unhealthy(e, out);
    else if (breaker_state(e) == BREAKER_OPEN)
        snprintf(out, WHY_BYTES, "circuit breaker open");
    else if (passive_ejected(e))
        snprintf(out, WHY_BYTES, "taken out after failures of requests");
    else if (entry_weight(e) == 0)
        snprintf(out, WHY_BYTES, "weight 0");
    return out[0] != '\0';
}
