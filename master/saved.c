#include "master/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "shm/events.h"
#include "shm/override.h"
#include "shm/pool.h"

#define SOON_S   0.1
#define RETRY_S  30.0
#define FILE_MAX (64u << 20)

/* An instance made from flags has no name that a file could belong to. */
static const char *path_of(const struct master *m)
{
    const struct conf *conf = m->current->conf;
    return conf->path[0] == '\0' || conf->state_file == NULL ? "" : conf->state_file;
}

/* ---- into the table ---- */

static const char *apply_backend(struct table *t, uint32_t pool, const struct saved_record *r)
{
    char why[128];
    struct entry_spec spec = {.name = r->name,
                              .endpoint = r->endpoint,
                              .weight = r->weight,
                              .max_connections = r->max_connections,
                              .backup = r->backup != 0,
                              .origin = ORIGIN_API};
    if (strlen(r->name) >= NAME_MAX_BYTES || strlen(r->endpoint) >= NET_ADDR_STRLEN ||
        net_addr_parse(r->address, &spec.addr, why, sizeof why) == -1)
        return "its address or name is not valid";
    if (entry_find(t, pool, r->name) != INDEX_NONE)
        return "the file has a backend of this name now";
    return entry_add(t, pool, &spec) == INDEX_NONE ? "the table is full" : NULL;
}

static bool mode_of(const char *name, uint32_t *out)
{
    for (uint32_t mode = MODE_MAINTENANCE; mode <= MODE_DRAINING; mode++)
        if (strcmp(entry_mode_name((enum entry_mode)mode), name) == 0) {
            *out = mode;
            return true;
        }
    return false;
}

static bool weight_of(const char *text, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *out = (uint32_t)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value <= 256;
}

static const char *apply_override(struct table *t, uint32_t pool, const struct saved_record *r)
{
    uint32_t value, entry = entry_find(t, pool, r->name);
    bool is_mode = strcmp(r->field, override_name(OVERRIDE_MODE)) == 0;
    enum override_field field = is_mode ? OVERRIDE_MODE : OVERRIDE_WEIGHT;
    if (entry == INDEX_NONE)
        return "there is no such backend any more";
    if (strcmp(r->field, override_name(field)) != 0 ||
        !(is_mode ? mode_of(r->value, &value) : weight_of(r->value, &value)))
        return "its value is not valid";
    if (override_configured(entry_at(t, entry), field) != r->from_file)
        return "the file says something else than it did then";
    override_set(t, entry, field, value, r->call, r->by);
    entry_at(t, entry)->overrides[field].wall_ms = r->wall_ms;
    return NULL;
}

const char *saved_apply(struct table *t, const struct saved_record *r)
{
    uint32_t pool = pool_find(t, r->pool);
    if (pool == INDEX_NONE)
        return "there is no such pool any more";
    return r->is_override ? apply_override(t, pool, r) : apply_backend(t, pool, r);
}

/* ---- reading the file ---- */

/* malloc'd; NULL with errno (ENOENT: there is none). */
static char *read_file(const char *path, size_t *len)
{
    struct stat st;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved = 0;
    if (fd == -1)
        return NULL;
    if (fstat(fd, &st) == -1)
        saved = errno;
    else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        saved = EINVAL;
    else if ((text = malloc((size_t)st.st_size + 1)) == NULL)
        saved = ENOMEM;
    ssize_t n = 0;
    *len = 0;
    while (text != NULL && *len < (size_t)st.st_size &&
           (n = read(fd, text + *len, (size_t)st.st_size - *len)) > 0)
        *len += (size_t)n;
    if (n == -1)
        saved = errno;
    (void)close(fd);
    if (saved == 0)
        return text;
    free(text);
    errno = saved;
    return NULL;
}

static void set_aside(const char *path, const char *why)
{
    char aside[SAVED_PATH_BYTES];
    (void)snprintf(aside, sizeof aside, "%s.damaged", path);
    if (rename(path, aside) == -1)
        log_warning(
            "the state file is not used and cannot be set aside: file=%s why=\"%s\" error=\"%s\"",
            path, why, strerror(errno));
    else
        log_warning(
            "the state file is damaged and was set aside: what the API had changed is lost: "
            "file=%s why=\"%s\"",
            aside, why);
}

static void bring_back(struct master *m, const struct saved_record *first)
{
    uint32_t count = 0;
    table_lock(&m->table);
    for (const struct saved_record *r = first; r != NULL; r = r->next) {
        const char *why_not = saved_apply(&m->table, r);
        count += why_not == NULL;
        if (why_not != NULL)
            log_info("not brought back: %s of %s:%s: %s",
                     r->is_override ? r->field : "added backend", r->pool, r->name, why_not);
    }
    table_unlock(&m->table);
    if (count > 0)
        log_info("brought back what the API had changed: records=%u file=%s", count, path_of(m));
}

void saved_load(struct master *m)
{
    struct arena arena;
    struct saved_record *first = NULL;
    char why[128];
    size_t len;
    const char *path = path_of(m);
    char *text = path[0] == '\0' ? NULL : read_file(path, &len);
    if (text == NULL) {
        if (path[0] != '\0' && errno != ENOENT && errno != ENOTDIR)
            log_warning("cannot read the state file: file=%s error=\"%s\"", path, strerror(errno));
        return;
    }
    arena_init(&arena);
    if (saved_parse(text, len, &arena, &first, why, sizeof why) == 0) {
        text[len] = '\0';
        bring_back(m, first);
        m->saved.written = text;
        saved_soon(m); /* what was not brought back is forgotten */
    } else {
        set_aside(path, why);
        free(text);
    }
    arena_free(&arena);
}

/* ---- writing the file ---- */

static void write_if_changed(struct master *m, bool in_thread);

static void on_due(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    write_if_changed(m, true);
}

static void arm(struct master *m, double after_s)
{
    m->saved.due = true;
    if (m->loop == NULL || ev_is_active(&m->saved.timer))
        return;
    ev_timer_init(&m->saved.timer, on_due, after_s, 0.0);
    m->saved.timer.data = m;
    ev_now_update(m->loop);
    ev_timer_start(m->loop, &m->saved.timer);
}

/* Said once, until it works again. */
static void cannot_write(struct master *m, const char *path)
{
    const char *why = strerror(errno);
    if (!m->saved.failing) {
        log_warning("cannot write the state file: what the API changed will not survive a restart: "
                    "file=%s error=\"%s\"",
                    path, why);
        event_write(&m->table, INDEX_NONE, "state", path, NULL, "unwritable", why);
    }
    m->saved.failing = true;
    arm(m, RETRY_S);
}

static void wrote(struct master *m, const char *path, char *text)
{
    free(m->saved.written);
    m->saved.written = text;
    (void)snprintf(m->saved.path, sizeof m->saved.path, "%s", path);
    if (m->saved.failing)
        event_write(&m->table, INDEX_NONE, "state", path, "unwritable", "written", NULL);
    m->saved.failing = false;
}

static void over(struct master *m, const char *path, char *text, int result)
{
    if (result == 0) {
        wrote(m, path, text);
        return;
    }
    cannot_write(m, path);
    free(text);
}

static void on_written(struct saved_io *io)
{
    struct master *m = io->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    errno = io->error;
    over(m, io->path, io->text, io->result);
    if (m->saved.due && m->loop != NULL && !ev_is_active(&m->saved.timer))
        arm(m, SOON_S);
}

/* What the file should say now; NULL: it does. */
static char *changed_text(struct master *m, const char *path)
{
    uint32_t records = 0;
    char *text = path[0] == '\0' ? NULL : saved_format(&m->table, &records);
    const char *before = m->saved.written;
    bool same_file = strcmp(m->saved.path, path) == 0 || m->saved.path[0] == '\0';
    bool needless =
        text != NULL && (before == NULL ? records == 0 : same_file && strcmp(before, text) == 0);
    if (!needless)
        return text;
    free(text);
    return NULL;
}

static void write_if_changed(struct master *m, bool in_thread)
{
    const char *path = path_of(m);
    if (m->saved.io.running) /* on_written looks again */
        return;
    m->saved.due = false;
    char *text = changed_text(m, path);
    if (text == NULL)
        return;
    m->saved.io.data = m;
    if (!in_thread || !saved_io_begin(&m->saved.io, m->loop, path, text, on_written))
        over(m, path, text, saved_io_replace(path, text));
}

void saved_now(struct master *m)
{
    saved_io_finish(&m->saved.io);
    if (m->saved.due)
        write_if_changed(m, false);
}

void saved_soon(struct master *m)
{
    arm(m, SOON_S);
}
