#include "conf/health.h"

#include <string.h>
#include <strings.h>
#include "conf/dump.h"
#include "conf/types.h"

#define EXPECT_MAX 64u

/* ---- reading and writing a backend's own ---- */

void health_read_override(struct walk *w, const struct conf_row *row, const struct node *n,
                          const struct walk_at *at, void *field)
{
    struct conf_health **health = field;
    *health = ARENA_NEW(w->arena, struct conf_health);
    **health = w->pool->health;
    (*health)->said = NULL;
    walk_group(w, n, at, &(struct walk_target){row->section, (char *)*health}, 1);
}

void health_write_override(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_health *const *health = field;
    if (*health == NULL)
        return;
    out_group(o, row->name);
    dump_section(o, row->section, *health);
    out_group_end(o);
}

/* ---- where something was said ---- */

/* One set of checks, and what it inherits from. */
struct scope {
    struct walk *w;
    struct conf_health *h;
    const struct conf_health *base;
    const struct walk_at *at;
};

static const struct conf_pos *said_at(const struct conf_health *h, const char *name)
{
    const struct conf_row *row = rows_find(&conf_section_health, name);
    const struct conf_pos *pos = h->said ? &h->said[row - conf_section_health.rows] : NULL;
    return pos && pos->file ? pos : NULL;
}

static bool is_bytes(enum conf_health_type type)
{
    return type == CONF_HEALTH_TCP || type == CONF_HEALTH_UDP;
}

/* ---- expected statuses ---- */

/* Three digits at s, or 0. */
static uint16_t to_status(const char *s)
{
    if (strspn(s, "0123456789") < 3 || s[0] < '1' || s[0] > '5')
        return 0;
    return (uint16_t)((s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0'));
}

/* Reads "200" or "200-299" at *text and moves behind it and a comma. */
static bool take_range(const char **text, struct conf_status_range *r)
{
    const char *at = *text + strspn(*text, " ");
    r->from = r->to = to_status(at);
    if (r->from == 0)
        return false;
    at += 3;
    if (*at == '-') {
        r->to = to_status(at + 1);
        at += r->to ? 4 : 0;
    }
    at += strspn(at, " ");
    if ((*at != ',' && *at) || r->to < r->from)
        return false;
    *text = *at ? at + 1 : at;
    return *at == '\0' || **text != '\0';
}

static bool read_statuses(const struct scope *s, const struct conf_text *t,
                          const struct walk_at *at, struct conf_status_range *ranges,
                          uint32_t *count)
{
    const char *text = t->text;
    do {
        if (*count == EXPECT_MAX) {
            walk_error(s->w, t->pos, at, "holds more than %u ranges", EXPECT_MAX);
            return false;
        }
        if (!take_range(&text, &ranges[*count])) {
            walk_error(s->w, t->pos, at, "wants " HEALTH_EXPECT_WANTED ", found \"%.60s\"",
                       t->text);
            return false;
        }
        ++*count;
    } while (*text);
    return true;
}

static void resolve_statuses(const struct scope *s, const struct walk_at *at)
{
    struct conf_status_range ranges[EXPECT_MAX] = {{0}};
    struct conf_health *h = s->h;
    uint32_t count = 0;
    if (h->expect_text_count == 0 && said_at(h, "expect"))
        walk_error(s->w, *said_at(h, "expect"), at, "is empty");
    for (uint32_t i = 0; i < h->expect_text_count; i++) {
        struct walk_at element = {.up = at, .index = i};
        if (!read_statuses(s, &h->expect_texts[i], h->expect_text_count > 1 ? &element : at, ranges,
                           &count))
            return;
    }
    h->expect = ARENA_ARRAY(s->w->arena, struct conf_status_range, count);
    h->expect_count = count;
    memcpy(h->expect, ranges, count * sizeof *ranges);
}

/* ---- expected bytes ---- */

static void resolve_bytes(const struct scope *s, const struct walk_at *at)
{
    struct conf_health *h = s->h;
    if (h->expect_text_count > 1) {
        walk_error(s->w, h->expect_texts[1].pos, at, "is one text in a tcp or udp check");
        return;
    }
    if (h->expect_text_count == 0)
        return;
    const char *wrong = bytes_decode(s->w->arena, h->expect_texts[0].text, &h->expect_bytes);
    if (wrong)
        walk_error(s->w, h->expect_texts[0].pos, at, "%s", wrong);
    else if (h->expect_bytes.len == 0)
        walk_error(s->w, h->expect_texts[0].pos, at, "is empty: everything would match");
}

/* What the row's default says, or nothing. */
static void reset_expect(struct scope *s)
{
    static struct conf_text statuses = {"200-299", {"", 0}};
    s->h->expect_texts = NULL;
    s->h->expect_text_count = 0;
    if (is_bytes(s->h->type))
        return;
    s->h->expect_texts = ARENA_NEW(s->w->arena, struct conf_text);
    *s->h->expect_texts = statuses;
    s->h->expect_texts->text = arena_strdup(s->w->arena, statuses.text);
    s->h->expect_text_count = 1;
}

/* `expect` means two things: what was inherited stays only where it means the same. */
static void resolve_expect(struct scope *s)
{
    struct walk_at at = {.up = s->at, .name = "expect"};
    struct conf_health *h = s->h;
    h->expect = NULL;
    h->expect_count = 0;
    h->expect_bytes = (struct conf_bytes){"", "", 0};
    if (h->type != CONF_HEALTH_HTTP && !is_bytes(h->type)) {
        reset_expect(s);
        return;
    }
    if (!said_at(h, "expect") && is_bytes(h->type) != is_bytes(s->base->type))
        reset_expect(s);
    if (is_bytes(h->type))
        resolve_bytes(s, &at);
    else
        resolve_statuses(s, &at);
}

/* ---- what goes together ---- */

static void check_headers(struct scope *s)
{
    static const char *const own[] = {
        "Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Expect"};
    const struct conf_pos *pos = said_at(s->h, "headers");
    struct walk_at at = {.up = s->at, .name = "headers"};
    for (uint32_t i = 0; pos && i < s->h->header_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(own); k++)
            if (strcasecmp(s->h->headers[i].name, own[k]) == 0)
                walk_error(s->w, *pos, &at, "\"%s\" cannot be set here%s", own[k],
                           k == 0 ? ": set \"host\"" : "");
}

static void check_kinds(struct scope *s)
{
    const struct conf_health *h = s->h;
    const struct conf_row *type = rows_find(&conf_section_health, "type");
    for (const struct conf_row *row = conf_section_health.rows; row->name; row++) {
        const struct conf_pos *pos = said_at(h, row->name);
        if (!pos || h->type == CONF_HEALTH_NONE || rows_apply(&conf_section_health, row, h))
            continue;
        if (row->kinds == HEALTH_IN_TLS && h->type != CONF_HEALTH_UDP)
            walk_error(s->w, *pos, s->at, "\"%s\" means nothing without tls = true", row->name);
        else
            walk_error(s->w, *pos, s->at, "\"%s\" means nothing with type = \"%s\"", row->name,
                       type->names[h->type]);
    }
}

static void check_pairs(struct scope *s)
{
    const struct conf_health *h = s->h;
    const struct conf_pos *pos = said_at(h, "ca");
    if (pos && *h->ca && !h->verify)
        walk_error(s->w, *pos, s->at, "\"ca\" means nothing without verify = true");
    pos = said_at(h, "body") ? said_at(h, "body") : said_at(h, "method");
    if (pos && h->type == CONF_HEALTH_HTTP && *h->body && strcmp(h->method, "HEAD") == 0)
        walk_error(s->w, *pos, s->at, "the answer to HEAD has no \"body\"");
}

static void resolve(struct scope *s)
{
    resolve_expect(s);
    check_kinds(s);
    check_headers(s);
    check_pairs(s);
}

/* ---- all of them ---- */

static void resolve_backend(struct walk *w, struct conf_pool *p, uint32_t index,
                            const struct walk_at *pool_at)
{
    struct walk_at list = {.up = pool_at, .name = "backends"};
    struct walk_at element = {.up = &list, .index = index};
    struct walk_at at = {.up = &element, .name = "health"};
    struct scope s = {.w = w, .h = p->backends[index].health, .base = &p->health, .at = &at};
    if ((unsigned)s.h->type == UINT32_MAX)
        s.h->type = p->health.type;
    if (!said_at(s.h, "expect") && is_bytes(s.h->type) == is_bytes(p->health.type)) {
        s.h->expect_texts = p->health.expect_texts;
        s.h->expect_text_count = p->health.expect_text_count;
    }
    resolve(&s);
    s.h->proxy = s.h->port ? CONF_PROXY_OFF : p->proxy_protocol;
}

void health_resolve(struct walk *w, struct conf *c)
{
    struct walk_at pools = {.name = "pools"};
    for (uint32_t i = 0; i < c->pool_count; i++) {
        struct conf_pool *p = &c->pools[i];
        struct walk_at pool = {.up = &pools, .name = p->name};
        struct walk_at at = {.up = &pool, .name = "health"};
        struct conf_health base = w->pool_defaults.health;
        if ((unsigned)base.type == UINT32_MAX)
            base.type = CONF_HEALTH_HTTP;
        struct scope s = {.w = w, .h = &p->health, .base = &base, .at = &at};
        resolve(&s);
        p->health.proxy = p->health.port ? CONF_PROXY_OFF : p->proxy_protocol;
        for (uint32_t b = 0; b < p->backend_count; b++)
            if (p->backends[b].health)
                resolve_backend(w, p, b, &pool);
    }
}
