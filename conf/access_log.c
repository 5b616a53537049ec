/* How access logs are read and written. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "conf/source.h"
#include "conf/suggest.h"
#include "conf/types.h"
#include "shm/layout.h"

#define USUAL_DIR  "/var/log/ballast"
#define USUAL_FILE USUAL_DIR "/access.log"

static bool is_plain(const char *text)
{
    return strcmp(text, "stdout") == 0 || strcmp(text, "stderr") == 0 ||
           strcmp(text, "syslog") == 0 || strcmp(text, "auto") == 0;
}

void access_read_target(struct walk *w, const struct conf_row *row, const struct node *n,
                        const struct walk_at *at, void *field)
{
    const char **out = field, *text = NULL;
    value_read_string(w, row, n, at, &text);
    if (!text)
        return;
    if (is_plain(text)) {
        *out = text;
    } else if (strchr(text, '/')) {
        *out = arena_strdup(w->arena, source_absolute(w->dir, text, w->scratch));
    } else {
        static const char *const names[] = {"stdout", "stderr", "syslog", "auto"};
        struct suggest s;
        suggest_init(&s, text);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            suggest_offer(&s, names[i]);
        walk_error(w, n->pos, at, "\"%.60s\" is not auto, stdout, stderr, syslog or a path%s", text,
                   walk_hint(w, s.best));
    }
}

void access_read_log(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    struct conf_access_log *log = field;
    log->off = n->kind == NODE_STRING && strcmp(n->text, "off") == 0;
    if (!log->off && n->kind != NODE_GROUP)
        walk_error_kind(w, n, at, "a group { } or \"off\"");
    else if (!log->off)
        walk_group(w, n, at, &(struct walk_target){row->section, field}, 1);
}

void access_write_log(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_access_log *log = field;
    if (log->off)
        out_string(o, row->name, "off");
    else
        write_group(o, row, field);
}

void access_resolve(struct conf_listener *l)
{
    struct conf_access_log *log = &l->access_log;
    log->sink = INDEX_NONE;
    log->path = log->off ? "" : log->target;
    if (strcmp(log->path, "auto") == 0)
        log->path = faccessat(AT_FDCWD, USUAL_DIR, W_OK | X_OK, AT_EACCESS) == 0 ? USUAL_FILE : "";
}
