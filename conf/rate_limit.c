/* How rate limits are read, compiled and written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "conf/types.h"
#include "conf/units.h"

#define LIMITS_MAX 8u
#define UNSET      UINT32_MAX

/* ---- "100/s" ---- */

/* The period behind the slash: a duration, or a bare unit, which is one of it. 0: neither. */
static uint64_t read_period(struct walk *w, const char *text)
{
    uint64_t ms = 0;
    if (*text < '0' || *text > '9')
        text = arena_printf(w->scratch, "1%s", text);
    return units_parse(UNITS_DURATION, text, &ms) == UNITS_OK && ms <= RATE_PERIOD_MAX ? ms : 0;
}

void rate_read_rate(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                    const struct walk_at *at, void *field)
{
    struct conf_rate *out = field;
    uint64_t count = 0, period_ms = 0;
    const char *text = n->kind == NODE_STRING ? n->text : "";
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits && count <= RATE_COUNT_MAX; i++)
        count = count * 10 + (uint64_t)(text[i] - '0');
    if (digits > 0 && text[digits] == '/')
        period_ms = read_period(w, text + digits + 1);
    if (period_ms == 0)
        walk_error_kind(w, n, at,
                        "how many in how long, such as \"100/s\", \"50/60s\" or \"10/m\"");
    else if (count == 0 || count > RATE_COUNT_MAX)
        walk_error(w, n->pos, at, "\"%.40s\" is out of range: 1 to %u in at most a day", text,
                   RATE_COUNT_MAX);
    else
        *out = (struct conf_rate){(uint32_t)count, (uint32_t)period_ms};
}

void rate_write_rate(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_rate *rate = field;
    char text[UNITS_STRLEN + 16], period[UNITS_STRLEN];
    snprintf(text, sizeof text, "%" PRIu32 "/%s", rate->count,
             units_format(UNITS_DURATION, rate->period_ms, period));
    out_string(o, row->name, text);
}

/* ---- a limit ---- */

static struct conf_rate default_rate(enum rate_algorithm algorithm)
{
    switch (algorithm) {
    case RATE_TOKEN_BUCKET: return (struct conf_rate){10, 1000};
    case RATE_SLIDING_WINDOW: return (struct conf_rate){50, 60000};
    case RATE_LEAKY_BUCKET: return (struct conf_rate){5, 1000};
    }
    return (struct conf_rate){1, 1000};
}

static void derive(struct walk *w, const struct node *n, const struct walk_at *at,
                   struct conf_rate_limit *r)
{
    bool window = r->algorithm == RATE_SLIDING_WINDOW, own = r->rate.count != UNSET;
    if (window && r->burst != UNSET)
        walk_error(w, n->pos, at, "\"burst\" means nothing with algorithm = \"sliding_window\"");
    if (!own)
        r->rate = default_rate(r->algorithm);
    if (window)
        r->burst = 0;
    else if (r->burst == UNSET)
        r->burst = own ? r->rate.count : 100;
}

static void compile_key(struct conf_rate_limit *r)
{
    static const char *const kinds[] = {[CONF_KEY_CLIENT_IP] = "client_ip",
                                        [CONF_KEY_GLOBAL] = "global",
                                        [CONF_KEY_URI] = "uri",
                                        [CONF_KEY_PATH] = "path",
                                        [CONF_KEY_HOST] = "host",
                                        [CONF_KEY_HEADER] = "header:",
                                        [CONF_KEY_COOKIE] = "cookie:"};
    for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i]);
        bool prefix = kinds[i][len - 1] == ':';
        if (prefix ? strncmp(r->key, kinds[i], len) != 0 : strcmp(r->key, kinds[i]) != 0)
            continue;
        r->key_kind = (enum conf_key)i;
        r->key_name = r->key + (prefix ? len : 0);
        r->key_name_len = (uint32_t)strlen(r->key_name);
    }
}

/* Two limits that say the same are the same. */
static uint64_t fingerprint_of(struct walk *w, const struct conf_rate_limit *r)
{
    static const struct hash_key fixed = {0x72617465, 0x6c696d6974};
    const char *text = arena_printf(w->scratch, "%d %u %u %u %u %s", (int)r->algorithm,
                                    r->rate.count, r->rate.period_ms, r->burst, r->entries, r->key);
    return hash_bytes(fixed, text, strlen(text));
}

/* A connection has no request. */
static void check_tcp(struct walk *w, const struct node *n, const struct walk_at *at,
                      const struct conf_rate_limit *r)
{
    if (w->kind & CONF_KIND_TCP && r->key_kind != CONF_KEY_CLIENT_IP &&
        r->key_kind != CONF_KEY_GLOBAL)
        walk_error(w, n->pos, at, "key = \"%.60s\" means nothing with protocol = \"tcp\"", r->key);
}

static void compile(struct walk *w, struct conf_rate_limit *r)
{
    struct rate_spec spec = {.algorithm = r->algorithm,
                             .count = r->rate.count,
                             .period_ms = r->rate.period_ms,
                             .burst = r->burst,
                             .entries = r->entries,
                             .quiet = !r->headers};
    rate_compile(&spec, &r->plan);
    compile_key(r);
    r->fingerprint = fingerprint_of(w, r);
}

static void read_limit(struct walk *w, const struct node *n, const struct walk_at *at,
                       struct conf_rate_limit *r)
{
    walk_fill_defaults(w, &conf_section_rate_limit, r);
    walk_group(w, n, at, &(struct walk_target){&conf_section_rate_limit, (char *)r}, 1);
    derive(w, n, at, r);
    compile(w, r);
    check_tcp(w, n, at, r);
    r->row = INDEX_NONE;
    r->pos = walk_keep_pos(w, n->pos);
    r->next = w->conf->rate_limits;
    w->conf->rate_limits = r;
}

static void check_twice(struct walk *w, const struct node *n, const struct walk_at *at,
                        const struct conf_rate_limit *limits, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (limits[i].fingerprint == limits[index].fingerprint)
            walk_error(w, n->pos, at, "says the same as the one at %s:%u", limits[i].pos.file,
                       limits[i].pos.line);
}

void rate_read_limits(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (count > LIMITS_MAX) {
        walk_error(w, n->pos, at, "holds %u, and %u is the most", count, LIMITS_MAX);
        return;
    }
    char owner[sizeof(((struct rate_row *)0)->name)];
    walk_path(at->up, owner, sizeof owner);
    struct conf_rate_limit *limits = ARENA_ARRAY(w->arena, struct conf_rate_limit, count);
    const char *kept = arena_strdup(w->arena, owner);
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        limits[i].owner = kept;
        read_limit(w, &first[i], first == n ? at : &element, &limits[i]);
        check_twice(w, &first[i], at, limits, i);
    }
    list->items = limits;
    list->count = count;
}

static void dump_limit(struct out *o, const struct conf_rate_limit *r)
{
    for (const struct conf_row *row = conf_section_rate_limit.rows; row->name; row++)
        if (rows_fit(row, o->kind) &&
            (strcmp(row->name, "burst") != 0 || r->algorithm != RATE_SLIDING_WINDOW))
            conf_types[row->type].write(o, row, (const char *)r + row->offset);
}

void rate_write_limits(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_rate_limit *limits = list->items;
    if (list->count == 0)
        return;
    out_list(o, row->name);
    for (uint32_t i = 0; i < list->count; i++) {
        out_group(o, NULL);
        dump_limit(o, &limits[i]);
        out_group_end(o);
    }
    out_list_end(o);
}
