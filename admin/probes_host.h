/*
 * admin/probes_host.h: what the host runs out of: memory, and room where ballast writes. Checks as
 * in probes.c: true, or false with a sentence. What cannot be found out here is no failure.
 */
#ifndef BALLAST_ADMIN_PROBES_HOST_H
#define BALLAST_ADMIN_PROBES_HOST_H

#include "admin/api.h"

/* Is less than 90 % of memory in use, as the kernel reckons what is available? */
bool probes_host_memory(const struct api *a, char *why, size_t why_cap);
/* Are the file systems of the state file and the logs less than 90 % full? */
bool probes_host_disk(const struct api *a, char *why, size_t why_cap);
/* As df shows it: of what anybody may use, in percent, rounded up. */
unsigned probes_host_percent(uint64_t blocks, uint64_t left, uint64_t available);

extern const char *probes_host_meminfo; /* a test may say which */

#endif
