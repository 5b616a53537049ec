#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "cli/arg.h"
#include "cli/cli.h"
#include "cli/instance.h"
#include "conf/conf.h"

#define SHM_DIR    "/dev/shm"
#define SHM_PREFIX "ballast."

/* What a look through /dev/shm found. */
struct scan {
    const char *conf_path; /* only instances of this file; NULL: any */
    uint32_t live, dead;   /* newest master pid of each kind, 0: none */
    uint64_t live_started, dead_started;
    unsigned live_count;
    char live_list[128]; /* "12, 345" */
    unsigned unread_count;
    char unread[260]; /* why the table of one that runs could not be read; "": all were */
};

static int attach(uint32_t pid, struct instance *out, char *why, size_t why_cap)
{
    out->pid = pid;
    if (table_attach(&out->table, pid, why, why_cap) == -1)
        return -1;
    out->alive = table_master_alive(&out->table);
    return 0;
}

static void note_live(struct scan *s, uint32_t pid, uint64_t started)
{
    size_t len = strlen(s->live_list);

    snprintf(s->live_list + len, sizeof(s->live_list) - len, "%s%u", len ? ", " : "", pid);
    s->live_count++;
    if (started >= s->live_started) {
        s->live = pid;
        s->live_started = started;
    }
}

static void note_unread(struct scan *s, const char *why)
{
    if (++s->unread_count == 1)
        snprintf(s->unread, sizeof(s->unread), "; %s", why);
}

static bool exists(uint32_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

static void note_table(struct scan *s, uint32_t pid)
{
    struct instance i;
    char why[256];

    if (attach(pid, &i, why, sizeof(why)) == -1) {
        if (exists(pid)) /* another user's, or another version's */
            note_unread(s, why);
        return;
    }
    uint64_t started = i.table.header->started_wall_ms;
    bool meant = !s->conf_path || strcmp(s->conf_path, i.table.header->conf_path) == 0;
    if (meant && i.alive) {
        note_live(s, pid, started);
    } else if (meant && started >= s->dead_started) {
        s->dead = pid;
        s->dead_started = started;
    }
    instance_close(&i);
}

static int is_table(const struct dirent *e)
{
    return strncmp(e->d_name, SHM_PREFIX, strlen(SHM_PREFIX)) == 0;
}

static void scan_tables(struct scan *s)
{
    struct dirent **found = NULL;
    int n = scandir(SHM_DIR, &found, is_table, NULL);
    uint64_t pid;

    for (int i = 0; i < n; i++) {
        if (cli_parse_uint(found[i]->d_name + strlen(SHM_PREFIX), INT_MAX, &pid) == 0)
            note_table(s, (uint32_t)pid);
        free(found[i]);
    }
    free(found);
}

/* The pid in the pid file that the configuration names, 0 when there is none. */
static uint32_t pid_from_conf(const char *conf_path)
{
    struct arena arena;
    struct conf_errors errors;
    uint64_t pid = 0;
    char line[32] = "";

    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    const struct conf *conf = conf_load(conf_path, &arena, &errors);
    FILE *f = conf && conf->pid_file[0] ? fopen(conf->pid_file, "re") : NULL;
    if (f) {
        if (fgets(line, sizeof(line), f))
            line[strcspn(line, "\n")] = '\0';
        fclose(f);
        if (cli_parse_uint(line, INT_MAX, &pid) == -1)
            pid = 0;
    }
    arena_free(&arena);
    return (uint32_t)pid;
}

/* What could not be looked at may be what is meant. */
static void add_unread(const struct scan *s, char *why, size_t cap, size_t len)
{
    if (len < cap && s->unread_count > 1)
        snprintf(why + len, cap - len, "%s; and %u more", s->unread, s->unread_count - 1);
    else if (len < cap)
        snprintf(why + len, cap - len, "%s", s->unread);
}

static int find_by_conf(const struct instance_choice *c, struct instance *out, char *why,
                        size_t cap)
{
    char path[PATH_MAX];
    struct scan s = {.conf_path = path};

    if (!realpath(c->conf_path, path))
        snprintf(path, sizeof(path), "%s", c->conf_path);
    scan_tables(&s);
    if (s.live_count == 1 || (s.live == 0 && c->dead_too && s.dead != 0))
        return attach(s.live ? s.live : s.dead, out, why, cap);
    if (s.live_count > 1) {
        snprintf(why, cap, "several instances run with %s (pids %s): say which with --pid N", path,
                 s.live_list);
        return -1;
    }
    uint32_t pid = pid_from_conf(c->conf_path);
    if (pid != 0 && attach(pid, out, why, cap) == 0 && (out->alive || c->dead_too))
        return 0;
    size_t len = (size_t)snprintf(why, cap, "no instance runs with %s", path);
    add_unread(&s, why, cap, len);
    return -1;
}

static int find_only(const struct instance_choice *c, struct instance *out, char *why, size_t cap)
{
    struct scan s = {0};

    scan_tables(&s);
    if (s.live_count > 1) {
        snprintf(why, cap, "several instances run (pids %s): say which with -c FILE or --pid N",
                 s.live_list);
        return -1;
    }
    if (s.live != 0)
        return attach(s.live, out, why, cap);
    if (s.dead != 0 && c->dead_too)
        return attach(s.dead, out, why, cap);
    add_unread(&s, why, cap, (size_t)snprintf(why, cap, "no running instance found"));
    return -1;
}

int instance_find(const struct instance_choice *choice, struct instance *out, char *why,
                  size_t why_cap)
{
    int rc;

    if (choice->pid != 0)
        rc = attach((uint32_t)choice->pid, out, why, why_cap);
    else if (choice->conf_path)
        rc = find_by_conf(choice, out, why, why_cap);
    else
        rc = find_only(choice, out, why, why_cap);
    if (rc == 0 && !out->alive && !choice->dead_too) {
        snprintf(why, why_cap, "the instance with pid %u does not run any more", out->pid);
        instance_close(out);
        return -1;
    }
    return rc;
}

void instance_close(struct instance *i)
{
    table_close(&i->table);
}

bool instance_is_stopped(const struct instance *i)
{
    char path[64], line[512] = "";

    snprintf(path, sizeof(path), "/proc/%u/stat", i->pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    const char *end = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
    fclose(f);
    return end && (end[2] == 'T' || end[2] == 't');
}
