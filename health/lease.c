#include "health/lease.h"

#include <assert.h>
#include <stdlib.h>

struct lease *lease_new(const struct conf *conf)
{
    struct lease *l = malloc(sizeof(*l));
    if (l == NULL)
        return NULL;
    *l = (struct lease){.conf = conf, .holders = 1};
    return l;
}

struct lease *lease_hold(struct lease *l)
{
    l->holders++;
    return l;
}

void lease_drop(struct lease *l, struct child *child)
{
    assert(l->holders > 0);
    if (--l->holders > 0)
        return;
    child_release(child, l->conf);
    free(l);
}
