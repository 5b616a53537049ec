#include "master/limits.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/log.h"

#define SPARE_DESCRIPTORS 128u          /* listeners, log, loop, health checks */
#define SHM_COMFORT_BYTES (32ull << 20) /* thousands of backends and all workers */

static unsigned long long system_max(void)
{
    unsigned long long max = 1u << 20;
    FILE *f = fopen("/proc/sys/fs/nr_open", "re");
    if (f == NULL)
        return max;
    if (fscanf(f, "%llu", &max) != 1)
        max = 1u << 20;
    (void)fclose(f);
    return max;
}

/* Two per client: its own and its backend's. One worker may get them all. The broker has three per
 * lease: the connection, what it shares with the client, and the client's process. */
static unsigned long long needed(const struct conf *conf)
{
    unsigned long long worker = 2ull * conf->max_connections, broker = 3ull * conf->client_leases;
    return (worker > broker ? worker : broker) + SPARE_DESCRIPTORS;
}

void limits_raise_descriptors(const struct conf *conf)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return;
    unsigned long long want = needed(conf), top = system_max();
    struct rlimit raised = {.rlim_cur = want < top ? want : top};
    raised.rlim_max = raised.rlim_cur > limit.rlim_max ? raised.rlim_cur : limit.rlim_max;
    if (raised.rlim_cur <= limit.rlim_cur || setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return;
    limit.rlim_cur = limit.rlim_max; /* only root goes beyond */
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        log_warning("cannot raise the limit of open files");
    log_info(
        "open files: at most %llu per process, enough for %llu clients each; max_connections = %u "
        "would need %llu (ulimit -n, LimitNOFILE=)",
        (unsigned long long)limit.rlim_cur,
        (unsigned long long)(limit.rlim_cur - SPARE_DESCRIPTORS) / 2, conf->max_connections, want);
}

void limits_check_memory(void)
{
    struct statvfs fs;
    if (statvfs("/dev/shm", &fs) == -1)
        return;
    unsigned long long free_bytes = (unsigned long long)fs.f_bavail * fs.f_frsize;
    if (free_bytes < SHM_COMFORT_BYTES)
        log_warning(
            "/dev/shm has only %llu KiB left: adding backends may fail (docker: --shm-size)",
            free_bytes >> 10);
}
