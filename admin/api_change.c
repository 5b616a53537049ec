/*
 * admin/api_change.c: what an operator sets against the file, and the three layers of a backend:
 * configured, overridden (by whom, when, by what call), observed.
 */
#include "admin/api.h"

#include <stdio.h>
#include <string.h>
#include "admin/body.h"
#include "admin/view.h"
#include "base/clock.h"
#include "shm/override.h"

#define WEIGHT_MAX 256
#define TAG_BYTES  24

/* ---- the layers as JSON ---- */

static void write_value(struct json *j, const char *key, enum override_field field, uint32_t value)
{
    if (field == OVERRIDE_MODE)
        json_kv_string(j, key, entry_mode_name((enum entry_mode)value));
    else
        json_kv_uint(j, key, value);
}

static void write_configured(struct json *j, const struct entry *e)
{
    json_key(j, "configured");
    json_object_begin(j);
    for (enum override_field f = 0; f < OVERRIDE_FIELDS; f++)
        write_value(j, override_name(f), f, override_configured(e, f));
    json_kv_uint(j, "max_connections", word_get(&e->max_connections));
    json_kv_bool(j, "backup", word_get(&e->backup) != 0);
    json_object_end(j);
}

static void write_overrides(struct json *j, const struct entry *e)
{
    char when[32];
    json_key(j, "override");
    json_object_begin(j);
    for (enum override_field f = 0; f < OVERRIDE_FIELDS; f++) {
        struct override_mark mark = e->overrides[f];
        if (!override_is_set(e, f))
            continue;
        mark.call[sizeof mark.call - 1] = mark.by[sizeof mark.by - 1] = '\0';
        json_key(j, override_name(f));
        json_object_begin(j);
        write_value(j, "value", f, override_value(e, f));
        json_kv_string(j, "call", mark.call);
        json_kv_string(j, "by", mark.by);
        json_kv_string(j, "at", clock_format_rfc3339(mark.wall_ms, when, sizeof when));
        json_object_end(j);
    }
    json_object_end(j);
}

static void write_observed(struct json *j, const struct table *t, uint32_t entry)
{
    const struct entry *e = entry_at(t, entry);
    uint64_t since_us = count_get(&e->health_since_us), now_us = clock_mono_us();
    json_key(j, "observed");
    json_object_begin(j);
    json_kv_string(j, "status", entry_status_name(entry_status(e)));
    json_kv_string(j, "health", entry_health_name((enum entry_health)word_get(&e->health)));
    json_kv_double(j, "health_since_seconds",
                   now_us > since_us ? (double)(now_us - since_us) / 1e6 : 0);
    json_kv_uint(j, "current_connections", entry_inflight(t, entry));
    json_kv_bool(j, "takes_requests", entry_usable(e));
    json_object_end(j);
}

void api_change_write_layers(struct json *j, const struct table *t, uint32_t entry)
{
    write_configured(j, entry_at(t, entry));
    write_overrides(j, entry_at(t, entry));
    write_observed(j, t, entry);
}

/* ---- If-Match ---- */

/* A list of strong tags, or "*". A weak one ("W/...") never matches. */
static bool names_tag(const char *list, const char *etag)
{
    size_t len = strlen(etag);
    while (*list) {
        list += strspn(list, " \t,");
        size_t word = *list == '"' && strchr(list + 1, '"')
                          ? (size_t)(strchr(list + 1, '"') - list) + 1
                          : strcspn(list, " \t,");
        if ((word == 1 && *list == '*') || (word == len && memcmp(list, etag, len) == 0))
            return true;
        list += word;
    }
    return false;
}

bool api_change_allowed(const struct request *q, const char *etag, struct response *r)
{
    if (!q->if_match || names_tag(q->if_match, etag))
        return true;
    response_problem(r, 412, "changed-meanwhile",
                     "it is no longer what If-Match names; its ETag is now %s", etag);
    response_header(r, "ETag", "%s", etag);
    return false;
}

static char *tag_of(const struct table *t, uint32_t entry, char out[TAG_BYTES])
{
    snprintf(out, TAG_BYTES, "\"%016llx\"", (unsigned long long)override_tag(t, entry));
    return out;
}

uint32_t api_change_begin(const struct api *a, const struct request *q, struct response *r)
{
    char tag[TAG_BYTES];
    uint32_t entry = api_backend_of(a, q, r);
    if (entry == INDEX_NONE || api_change_allowed(q, tag_of(a->table, entry, tag), r))
        return entry;
    return INDEX_NONE;
}

void api_change_answer(struct response *r, const struct api *a, uint32_t entry)
{
    char tag[TAG_BYTES];
    api_backends_write(response_json(r, 200), a, entry);
    response_header(r, "ETag", "%s", tag_of(a->table, entry, tag));
}

/* ---- changing one field ---- */

static void name_value(enum override_field field, uint32_t value, char *out, size_t cap)
{
    if (field == OVERRIDE_MODE)
        snprintf(out, cap, "%s", entry_mode_name((enum entry_mode)value));
    else
        snprintf(out, cap, "%u", value);
}

/* The lock is held from finding the backend to changing it, so that the row stays this backend. */
static void change(struct api *a, const struct request *q, struct response *r,
                   enum override_field field, uint32_t value, const char *call, bool cut)
{
    char id[VIEW_ID_BYTES], from[24], to[24];
    table_lock(a->table);
    uint32_t entry = api_change_begin(a, q, r);
    if (entry != INDEX_NONE) {
        const struct entry *e = entry_at(a->table, entry);
        name_value(field, override_value(e, field), from, sizeof from);
        if (field == OVERRIDE_WEIGHT && value == UINT32_MAX)
            override_clear(a->table, entry, field);
        else
            override_set(a->table, entry, field, value, call, q->peer);
        if (cut)
            entry_cut(a->table, entry);
        name_value(field, override_value(e, field), to, sizeof to);
        view_id(a->table, entry, id);
    }
    table_unlock(a->table);
    if (entry == INDEX_NONE)
        return;
    api_record(a, q, id, from, to, cut ? "disable, cutting what was in flight" : call);
    api_change_answer(r, a, entry);
}

void api_backends_enable(struct api *a, const struct request *q, struct response *r)
{
    change(a, q, r, OVERRIDE_MODE, MODE_ENABLED, "enable", false);
}

void api_backends_disable(struct api *a, const struct request *q, struct response *r)
{
    int cut = api_cut_asked(q, r);
    if (cut != -1)
        change(a, q, r, OVERRIDE_MODE, MODE_MAINTENANCE, "disable", cut);
}

void api_backends_drain(struct api *a, const struct request *q, struct response *r)
{
    change(a, q, r, OVERRIDE_MODE, MODE_DRAINING, "drain", false);
}

/* {"weight": n} or {"weight": null}. Returns 0 with *weight (UINT32_MAX: no override), or -1 with a
 * 400 in r. */
static int read_weight(const struct request *q, struct response *r, uint32_t *weight)
{
    struct body body;
    char why[256];
    if (body_parse(&body, q->body, q->body_bytes, why, sizeof(why)) != 0) {
        response_problem(r, 400, "bad-request", "%s", why);
        return -1;
    }
    const struct body_field *f = body.count == 1 ? body_find(&body, "weight") : NULL;
    int result = -1;
    if (f && f->type == BODY_NULL) {
        *weight = UINT32_MAX;
        result = 0;
    } else if (f && f->type == BODY_INTEGER && f->integer >= 0 && f->integer <= WEIGHT_MAX) {
        *weight = (uint32_t)f->integer;
        result = 0;
    } else {
        response_problem(r, 400, "bad-request",
                         "the body must be {\"weight\": n} with n from 0 to %d, or null",
                         WEIGHT_MAX);
    }
    body_free(&body);
    return result;
}

void api_backends_weight(struct api *a, const struct request *q, struct response *r)
{
    uint32_t weight;
    if (read_weight(q, r, &weight) == 0)
        change(a, q, r, OVERRIDE_WEIGHT, weight, "weight", false);
}

/* ---- back to the file ---- */

static void clear_all(struct table *t, uint32_t entry, char *what, size_t cap)
{
    what[0] = '\0';
    for (enum override_field f = 0; f < OVERRIDE_FIELDS; f++) {
        size_t len = strlen(what);
        if (!override_is_set(entry_at(t, entry), f))
            continue;
        override_clear(t, entry, f);
        snprintf(what + len, cap - len, "%s%s", len > 0 ? ", " : "", override_name(f));
    }
}

void api_backends_revert(struct api *a, const struct request *q, struct response *r)
{
    char id[VIEW_ID_BYTES], what[24] = "";
    table_lock(a->table);
    uint32_t entry = api_change_begin(a, q, r);
    if (entry != INDEX_NONE) {
        clear_all(a->table, entry, what, sizeof what);
        view_id(a->table, entry, id);
    }
    table_unlock(a->table);
    if (entry == INDEX_NONE)
        return;
    api_record(a, q, id, *what ? what : "nothing", "configured", "revert");
    api_change_answer(r, a, entry);
}
