/*
 * shm/entry_names.c: the words users see for the states of a backend.
 */
#include "shm/entry.h"

const char *entry_status_name(enum entry_status status)
{
    static const char *const names[] = {
        [STATUS_MAINTENANCE] = "maintenance", [STATUS_DRAINING] = "draining",
        [STATUS_UNHEALTHY] = "unhealthy",     [STATUS_OVERLOADED] = "overloaded",
        [STATUS_HEALTHY] = "healthy",         [STATUS_UNKNOWN] = "unknown",
    };
    return (size_t)status < ARRAY_LEN(names) ? names[status] : "unknown";
}

const char *entry_health_name(enum entry_health health)
{
    static const char *const names[] = {[HEALTH_UNKNOWN] = "unknown",
                                        [HEALTH_HEALTHY] = "healthy",
                                        [HEALTH_UNHEALTHY] = "unhealthy"};
    return (size_t)health < ARRAY_LEN(names) ? names[health] : "unknown";
}

const char *entry_mode_name(enum entry_mode mode)
{
    static const char *const names[] = {[MODE_ENABLED] = "enabled",
                                        [MODE_MAINTENANCE] = "maintenance",
                                        [MODE_DRAINING] = "draining"};
    return (size_t)mode < ARRAY_LEN(names) ? names[mode] : "unknown";
}
