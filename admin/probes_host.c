#include "admin/probes_host.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define MOST_PERCENT 90u

const char *probes_host_meminfo = "/proc/meminfo";

unsigned probes_host_percent(uint64_t blocks, uint64_t left, uint64_t available)
{
    uint64_t used = blocks > left ? blocks - left : 0, all = used + available;
    return all ? (unsigned)((used * 100 + all - 1) / all) : 0;
}

/* ---- memory ---- */

static bool read_meminfo(uint64_t *total, uint64_t *available)
{
    char line[128];
    unsigned found = 0;
    FILE *in = fopen(probes_host_meminfo, "re");
    if (!in)
        return false;
    while (found < 2 && fgets(line, sizeof line, in)) {
        found += sscanf(line, "MemTotal: %" SCNu64, total) == 1;
        found += sscanf(line, "MemAvailable: %" SCNu64, available) == 1;
    }
    (void)fclose(in);
    return found == 2;
}

bool probes_host_memory(const struct api *a UNUSED, char *why, size_t why_cap)
{
    uint64_t total = 0, available = 0;
    if (!read_meminfo(&total, &available))
        return true;
    unsigned used = probes_host_percent(total, available, available);
    snprintf(why, why_cap, "%u%% of memory is in use", used);
    return used < MOST_PERCENT;
}

/* ---- disk ---- */

/* The directory of a file that ballast writes; targets that are none (stderr, "") pass. */
static bool has_room(const char *file, char *why, size_t why_cap)
{
    char directory[4096];
    struct statvfs s;
    const char *slash = file && *file == '/' ? strrchr(file, '/') : NULL;
    size_t len = slash ? (size_t)(slash - file) + (slash == file) : 0;
    if (len == 0 || len >= sizeof directory)
        return true;
    memcpy(directory, file, len);
    directory[len] = '\0';
    if (statvfs(directory, &s) == -1)
        return true;
    unsigned used = probes_host_percent(s.f_blocks, s.f_bfree, s.f_bavail);
    snprintf(why, why_cap, "the file system of %.100s is %u%% full", directory, used);
    return used < MOST_PERCENT;
}

bool probes_host_disk(const struct api *a, char *why, size_t why_cap)
{
    const struct conf *c = a->conf;
    if (!c)
        return true;
    bool room = has_room(c->state_file, why, why_cap) && has_room(c->log.target, why, why_cap);
    for (uint32_t i = 0; room && i < c->listener_count; i++)
        room = has_room(c->listeners[i].access_log.path, why, why_cap);
    return room;
}
