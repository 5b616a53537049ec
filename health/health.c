#include "health/health.h"

#include <stdio.h>
#include "health/schedule.h"

static int start(struct child *c, char *why, size_t why_cap)
{
    c->data = schedule_new(c);
    if (c->data != NULL)
        return 0;
    snprintf(why, why_cap, "no memory for the health schedule");
    return -1;
}

static void serve(struct child *c)
{
    schedule_begin(c->data);
}

static int offer(struct child *c, const struct conf *next, char *why, size_t why_cap)
{
    if (schedule_offer(c->data, next) == 0)
        return 0;
    snprintf(why, why_cap, "no memory to check the health of a new generation");
    return -1;
}

static void withdraw(struct child *c, const struct conf *next UNUSED)
{
    schedule_withdraw(c->data);
}

static void go(struct child *c, const struct conf *old UNUSED)
{
    schedule_adopt(c->data);
}

/* A check has no client that waits for it: there is nothing to finish. */
static void drain(struct child *c, uint32_t deadline_ms UNUSED)
{
    schedule_stop(c->data);
    child_exit(c);
}

const struct role health_role = {
    .name = "health",
    .slot_role = SLOT_HEALTH,
    .start = start,
    .serve = serve,
    .offer = offer,
    .go = go,
    .abort = withdraw,
    .drain = drain,
};
