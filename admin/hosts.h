/*
 * admin/hosts.h: host names that can be resolved without asking anybody: localhost and what
 * /etc/hosts says. A process with an event loop must not wait for DNS.
 */
#ifndef BALLAST_ADMIN_HOSTS_H
#define BALLAST_ADMIN_HOSTS_H

#include "base/base.h"

/* First address of name in a file of the form of hosts(5), as text. 0, or -1: not there. */
int hosts_lookup(const char *file, const char *name, char *out, size_t cap) MUST_CHECK;

#endif
