/*
 * shm/table_find.c: which tables lie on this host, and whose master still runs. See shm/table.h.
 */
#include "shm/table_int.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAT_FIELD_STATE 3
#define STAT_FIELD_START 22

/* Reads a small file of /proc. Returns false when it is not there. */
static bool read_text(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return false;
    ssize_t got = read(fd, out, cap - 1);
    close(fd);
    if (got <= 0)
        return false;
    out[got] = 0;
    return true;
}

void table_host_read(struct table_host *out)
{
    struct stat st;
    char text[64];
    *out = (struct table_host){0};
    if (read_text("/proc/sys/kernel/random/boot_id", text, sizeof text))
        snprintf(out->boot_id, sizeof out->boot_id, "%.36s", text);
    if (stat("/proc/self/ns/pid", &st) == 0)
        out->pid_namespace = st.st_ino;
}

uint64_t table_start_ticks(uint32_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    if (!read_text(path, text, sizeof text))
        return 0;
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    p += 2;
    for (int field = STAT_FIELD_STATE; p && field < STAT_FIELD_START; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p, NULL, 10) : 0;
}

enum table_life table_life(const struct table_header *h)
{
    struct table_host host;
    table_host_read(&host);
    if (strncmp(host.boot_id, h->boot_id, sizeof host.boot_id) != 0)
        return TABLE_DEAD;
    if (host.pid_namespace != h->pid_namespace)
        return TABLE_FOREIGN;
    uint64_t ticks = table_start_ticks(h->master_pid);
    return ticks != 0 && ticks == h->master_start_ticks ? TABLE_ALIVE : TABLE_DEAD;
}

bool table_master_alive(const struct table *t)
{
    return table_life(t->header) == TABLE_ALIVE;
}

/* /dev/shm is writable by all: a table that names somebody else's process is not believed, signals
 * are sent to that pid. */
static bool is_owners(int fd, uint32_t pid)
{
    struct stat object, process;
    char path[32];
    snprintf(path, sizeof path, "/proc/%u", pid);
    return fstat(fd, &object) == 0 && stat(path, &process) == 0 &&
           (object.st_uid == process.st_uid || object.st_uid == geteuid());
}

/* The pid in an object's name, 0 when the name is not ours. */
static uint32_t pid_of_name(const char *name)
{
    size_t prefix = strlen(TABLE_PREFIX);
    if (strncmp(name, TABLE_PREFIX, prefix) != 0 || !isdigit((unsigned char)name[prefix]))
        return 0;
    char *end;
    unsigned long pid = strtoul(name + prefix, &end, 10);
    return *end || pid > INT32_MAX ? 0 : (uint32_t)pid;
}

uint32_t table_next_object(DIR *dir)
{
    const struct dirent *d;
    while ((d = readdir(dir))) {
        uint32_t pid = pid_of_name(d->d_name);
        if (pid)
            return pid;
    }
    return 0;
}

static bool read_live(uint32_t pid, struct table_header *h)
{
    char why[128];
    int fd = table_open(pid);
    if (fd == -1)
        return false;
    bool live = table_read_header(fd, h, why, sizeof why) == 0 && h->master_pid == pid &&
                is_owners(fd, pid) && table_life(h) == TABLE_ALIVE;
    close(fd);
    return live;
}

uint32_t table_find(const char *conf_path, bool *more)
{
    uint32_t found = 0;
    uint64_t found_us = 0;
    *more = false;
    DIR *dir = opendir(TABLE_DIR);
    if (!dir)
        return 0;
    for (uint32_t pid; (pid = table_next_object(dir)) != 0;) {
        struct table_header h;
        if (!read_live(pid, &h) ||
            (conf_path && strncmp(conf_path, h.conf_path, sizeof h.conf_path - 1) != 0))
            continue;
        *more = found != 0;
        if (found == 0 || h.started_mono_us >= found_us) {
            found = pid;
            found_us = h.started_mono_us;
        }
    }
    closedir(dir);
    return found;
}

/* Another version's table, or one whose master died while creating it, is judged by the pid in its
 * name. */
static bool is_dead(uint32_t pid)
{
    struct table_header h;
    char why[128];
    int fd = table_open(pid);
    if (fd == -1)
        return false;
    bool readable = table_read_header(fd, &h, why, sizeof why) == 0 && h.master_pid == pid;
    close(fd);
    return readable ? table_life(&h) == TABLE_DEAD : table_start_ticks(pid) == 0;
}

/* What an upgrade had set aside when its process was killed. */
static unsigned sweep_aside(DIR *dir)
{
    unsigned removed = 0;
    const struct dirent *d;
    rewinddir(dir);
    while ((d = readdir(dir))) {
        char name[NAME_MAX + 1];
        size_t len = strlen(d->d_name), suffix = strlen(TABLE_ASIDE);
        if (len <= suffix || strcmp(d->d_name + len - suffix, TABLE_ASIDE) != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(len - suffix), d->d_name);
        uint32_t pid = pid_of_name(name);
        if (pid && table_start_ticks(pid) == 0 && unlinkat(dirfd(dir), d->d_name, 0) == 0)
            removed++;
    }
    return removed;
}

unsigned table_sweep(void)
{
    unsigned removed = 0;
    DIR *dir = opendir(TABLE_DIR);
    if (!dir)
        return 0;
    for (uint32_t pid; (pid = table_next_object(dir)) != 0;)
        if (is_dead(pid) && table_remove(pid) == 0)
            removed++;
    removed += sweep_aside(dir);
    closedir(dir);
    return removed;
}
