#include "master/answer.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "master/history.h"
#include "master/notify.h"
#include "shm/count.h"
#include "shm/events.h"

/* "file:line: error: text", or the text alone when it is about no place in a file. */
static const char *format(const struct conf_error *e, char *out, size_t cap)
{
    if (e->pos.line == 0)
        (void)snprintf(out, cap, "%s", e->text);
    else
        (void)snprintf(out, cap, "%s:%u: error: %s", e->pos.file, e->pos.line, e->text);
    return out;
}

static void write_errors(struct json *j, const struct conf_errors *errors, uint32_t most)
{
    char line[1024];
    json_key(j, "errors");
    json_array_begin(j);
    for (const struct conf_error *e = errors->first; e != NULL && most-- > 0; e = e->next)
        json_string(j, format(e, line, sizeof line));
    json_array_end(j);
}

static void write_outcome(struct json *j, const struct master *m, const struct plan *plan,
                          const struct conf_errors *errors, uint32_t most)
{
    json_kv_uint(j, "generation", m->current->number);
    if (plan != NULL)
        plan_write(j, plan, most);
    else
        write_errors(j, errors, most);
}

static void tell_admin(struct master *m, const struct plan *plan, const struct conf_errors *errors)
{
    struct ctl_msg msg = {
        .type = CTL_RELOADED, .number = plan == NULL, .generation = m->current->number};
    struct json j;
    size_t len;
    json_init(&j);
    json_object_begin(&j);
    write_outcome(&j, m, plan, errors, UINT32_MAX);
    json_object_end(&j);
    const char *text = json_finish(&j, &len);
    history_send(m, &msg, text, len);
    json_free(&j);
}

static void remember(struct master *m, const struct plan *plan, const struct conf_errors *errors)
{
    char when[32];
    struct json j;
    json_init(&j);
    json_object_begin(&j);
    json_kv_string(&j, "time", clock_format_rfc3339(clock_wall_ms(), when, sizeof when));
    json_kv_string(&j, "result", plan != NULL ? "adopted" : "refused");
    json_kv_string(&j, "asked_by", m->reload.answer_admin ? "api" : "signal");
    json_kv_uint(&j, "duration_ms", (clock_mono_us() - m->reload.begun_us) / 1000);
    if (plan != NULL && plan->change_count > HISTORY_LINES)
        json_kv_uint(&j, "more_changes", plan->change_count - HISTORY_LINES);
    write_outcome(&j, m, plan, errors, HISTORY_LINES);
    json_object_end(&j);
    history_add(m, json_finish(&j, NULL));
    json_free(&j);
}

void answer_changed(struct master *m, const struct plan *plan, bool to_admin)
{
    char text[128];
    uint32_t count = plan->change_count;
    for (const struct conf_change *c = plan->changes; c != NULL; c = c->next)
        log_info("changed: %s", c->text);
    for (const struct plan_note *n = plan->overrides; n != NULL; n = n->next)
        log_info("override: %s", n->text);
    (void)snprintf(text, sizeof text, "generation %u, %u changes%s%.80s", m->current->number, count,
                   count > 0 ? ": " : "", plan->changes ? plan->changes->text : "");
    event_write(&m->table, INDEX_NONE, "reload", "configuration", "offered", "serving", text);
    count_add(&m->table.header->reloads_ok, 1);
    notify_outcome(m, "");
    if (to_admin)
        tell_admin(m, plan, NULL);
    remember(m, plan, NULL);
}

void answer_failed(struct master *m, const struct conf_errors *errors, bool to_admin)
{
    char line[1024];
    for (const struct conf_error *e = errors->first; e != NULL; e = e->next)
        log_error("%s", format(e, line, sizeof line));
    log_error("reload failed: generation %u goes on serving: errors=%u", m->current->number,
              errors->count);
    event_write(&m->table, INDEX_NONE, "reload", "configuration", "offered", "refused",
                errors->first == NULL ? "" : format(errors->first, line, sizeof line));
    count_add(&m->table.header->reloads_failed, 1);
    notify_outcome(m, errors->first == NULL ? "" : format(errors->first, line, sizeof line));
    if (to_admin)
        tell_admin(m, NULL, errors);
    remember(m, NULL, errors);
}
