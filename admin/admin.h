/* admin/admin.h: the admin role: HTTP API, metrics, dashboard. Its listening sockets are the binds of conf.admin. */
#ifndef BALLAST_ADMIN_ADMIN_H
#define BALLAST_ADMIN_ADMIN_H
#include "proc/role.h"
extern const struct role admin_role;
#endif
