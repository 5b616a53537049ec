/*
 * shm/table_watch.c: the table that a program wants which balances by it. See shm/reader.h. A
 * program that follows a table sends its requests where the table says: so what others could have
 * put into /dev/shm is not looked at, whatever it says of itself.
 */
#include "shm/table_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "shm/reader.h"

struct search {
    const struct table_wish *wish;
    uint64_t fresh_us;
    struct table best;
    uint64_t best_started_us;
    bool best_fresh;
    char *why; /* of the last one that was refused */
    size_t why_cap;
};

static bool is_trusted(int fd, const struct table_wish *wish)
{
    struct stat st;
    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return false;
    return st.st_uid == 0 || st.st_uid == geteuid() ||
           (wish->owner != (uid_t)-1 && st.st_uid == wish->owner);
}

/* What is used as a number of rows. */
static bool makes_sense(const struct search *s, uint32_t pid, const struct table_header *h)
{
    if (word_get(&h->entries_high) <= ENTRY_MAX && word_get(&h->pools_high) <= POOL_MAX &&
        word_get(&h->slots_high) <= SLOT_MAX)
        return true;
    snprintf(s->why, s->why_cap, "the table of pid %u makes no sense", pid);
    return false;
}

/* Everything that can be said without mapping it. */
static bool is_meant(struct search *s, int fd, uint32_t pid, struct table_header *h)
{
    const char *conf_path = s->wish->conf_path;
    if (!is_trusted(fd, s->wish)) {
        snprintf(s->why, s->why_cap,
                 "the table of pid %u belongs to somebody else, or others may change it", pid);
        return false;
    }
    if (table_read_header(fd, h, s->why, s->why_cap) == -1)
        return false;
    if (h->master_pid != pid ||
        (conf_path && strncmp(conf_path, h->conf_path, sizeof h->conf_path - 1) != 0))
        return false;
    if (table_life(h) != TABLE_DEAD)
        return makes_sense(s, pid, h);
    snprintf(s->why, s->why_cap, "the instance with pid %u does not run any more", pid);
    return false;
}

static void compare(struct search *s, struct table *t, uint64_t started_us)
{
    bool fresh = table_age_us(t, clock_mono_us()) <= s->fresh_us;
    bool better =
        !s->best.base || (fresh != s->best_fresh ? fresh : started_us >= s->best_started_us);
    if (better) {
        table_close(&s->best);
        s->best = *t;
        s->best_fresh = fresh;
        s->best_started_us = started_us;
    } else {
        table_close(t);
    }
}

static void look_at(struct search *s, uint32_t pid)
{
    struct table_header h;
    struct table t = {.fd = table_open(pid), .read_only = true};
    if (t.fd == -1) {
        if (errno != ENOENT)
            snprintf(s->why, s->why_cap,
                     "cannot read the table of pid %u: %s (see table_group in the configuration)",
                     pid, strerror(errno));
    } else if (!is_meant(s, t.fd, pid, &h)) {
        close(t.fd);
    } else if (table_map_begin(&t, h.loads.offset_bytes) == -1) {
        snprintf(s->why, s->why_cap, "cannot map the table of pid %u: %s", pid, strerror(errno));
        close(t.fd);
    } else {
        compare(s, &t, h.started_mono_us);
    }
}

static void look_at_all(struct search *s)
{
    DIR *dir = opendir(TABLE_DIR);
    if (!dir) {
        snprintf(s->why, s->why_cap, "%s: %s", TABLE_DIR, strerror(errno));
        return;
    }
    for (uint32_t pid; (pid = table_next_object(dir)) != 0;)
        look_at(s, pid);
    closedir(dir);
}

int table_attach_wish(struct table *t, const struct table_wish *wish, uint64_t fresh_us, char *why,
                      size_t why_cap)
{
    char reason[256] = "";
    struct search s = {.wish = wish,
                       .fresh_us = fresh_us,
                       .best = {.fd = -1},
                       .why = reason,
                       .why_cap = sizeof reason};
    if (wish->pid)
        look_at(&s, wish->pid);
    else
        look_at_all(&s);
    *t = s.best;
    if (s.best.base)
        return 0;
    snprintf(why, why_cap, "no running instance%s%s%s%s", wish->conf_path ? " of " : "",
             wish->conf_path ? wish->conf_path : "", reason[0] ? ": " : "", reason);
    return -1;
}
