#include "health/custom.h"

#include <stdlib.h>

const struct conf_health *custom_make(struct custom **custom, const struct conf_health *pool,
                                      const struct entry_check *check)
{
    if (*custom == NULL)
        *custom = calloc(1, sizeof(**custom));
    if (*custom == NULL)
        return pool;
    struct custom *c = *custom;
    c->health = *pool;
    c->health.type = CONF_HEALTH_HTTP;
    c->health.path = check->path;
    c->health.port = (uint16_t)check->port;
    c->health.tls = check->tls || pool->tls;
    if (check->port != 0)
        c->health.proxy = CONF_PROXY_OFF;
    if (pool->type != CONF_HEALTH_HTTP) {
        c->expect = (struct conf_status_range){200, 299};
        c->health.expect = &c->expect;
        c->health.expect_count = 1;
        c->health.body = "";
    }
    return &c->health;
}
