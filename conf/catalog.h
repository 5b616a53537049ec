/*
 * conf/catalog.h: things by their names, for as long as an arena lives. Names are not copied.
 */
#ifndef BALLAST_CONF_CATALOG_H
#define BALLAST_CONF_CATALOG_H

#include "conf/names.h"

struct catalog {
    struct names names; /* positions in things */
    const void **things;
    uint32_t cap;
};

void catalog_init(struct catalog *c, struct arena *arena);
/* The first of a name stays. */
void catalog_add(struct catalog *c, const char *name, const void *thing);
const void *catalog_find(const struct catalog *c, const char *name); /* or NULL */

#endif
