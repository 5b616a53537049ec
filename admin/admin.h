/* admin/admin.h: the admin role: HTTP API, metrics, dashboard. Its listening sockets are the binds
 * of conf.admin. */
#ifndef BALLAST_ADMIN_ADMIN_H
#define BALLAST_ADMIN_ADMIN_H
#include "proc/role.h"
extern const struct role admin_role;

/* The generated tables of docs/api.md and docs/metrics.md, from the rows. malloc'd; NULL without
 * memory. */
char *admin_endpoints_markdown(void) MUST_CHECK;
char *admin_metrics_markdown(void) MUST_CHECK;
#endif
