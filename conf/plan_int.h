/* conf/plan_int.h: what the parts of the comparison (plan.c, plan_routes.c, plan_files.c) share. */
#ifndef BALLAST_CONF_PLAN_INT_H
#define BALLAST_CONF_PLAN_INT_H

#include "conf/dump.h"
#include "conf/names.h"
#include "conf/route.h"
#include "conf/tls.h"
#include "conf/types.h"

struct plan {
    struct arena *arena; /* of the changes */
    struct arena scratch;
    struct conf_change *first, **last;
    const struct conf *from, *to;
    struct out a, b; /* where fields are written for comparison */
};

/* prefix: "pool app: ", grows on the way down. */
struct conf_change *plan_add(struct plan *p, const char *prefix, const char *what);
/* All that the rows of a section say. */
void plan_section(struct plan *p, const char *prefix, const struct conf_section *section,
                  const void *from, const void *to);
/* The value as the configuration file would say it; "none" for what it would not mention. */
const char *plan_render(struct out *o, const struct conf_row *row, const void *field);

/* plan_routes.c */
void plan_routes(struct plan *p, const char *prefix, const struct conf_listener *from,
                 const struct conf_listener *to);

#endif
