/* From header edits as written to what a worker copies. See conf/route.h. */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/http1.h"
#include "conf/route.h"
#include "conf/walk.h"

#define EDITS_MAX   256u
#define BLOCK_BYTES 4096u /* the fixed part of what is added to a head */

struct line {
    const struct conf_named *pair;
    bool always;
};
struct build {
    struct walk *w;
    struct line lines[EDITS_MAX];
    uint32_t count;
    struct conf_edits *edits;
    bool request;
};

/* ---- what may be edited ---- */

bool route_frames_message(const char *name)
{
    static const char *const framing[] = {
        "connection", "content-length", "keep-alive",        "proxy-connection",
        "te",         "trailer",        "transfer-encoding", "upgrade"};
    for (unsigned i = 0; i < ARRAY_LEN(framing); i++)
        if (strcasecmp(name, framing[i]) == 0)
            return true;
    return strcasecmp(name, "host") == 0;
}

static bool may_touch(const struct build *b, const char *name, bool set)
{
    return !route_frames_message(name) || (b->request && set && strcasecmp(name, "host") == 0);
}

static bool check_name(struct build *b, const char *name, struct conf_pos pos, bool set)
{
    if (may_touch(b, name, set))
        return true;
    walk_error(b->w, pos, NULL,
               "the field \"%.60s\" frames or addresses the message: it cannot be %s", name,
               set ? "set" : "added to or removed");
    return false;
}

/* ---- collecting ---- */

static void drop_lines(struct build *b, const char *name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->count; i++)
        if (strcasecmp(b->lines[i].pair->name, name) != 0)
            b->lines[kept++] = b->lines[i];
    b->count = kept;
}

static void drop_field(struct build *b, const char *name)
{
    struct conf_edits *e = b->edits;
    size_t len = strlen(name);
    uint8_t id = http1_name_id(name, len);
    drop_lines(b, name);
    if (id != HTTP1_H_OTHER) {
        e->drop_ids |= 1ull << id;
        return;
    }
    for (uint32_t i = 0; i < e->drop_count; i++)
        if (strcasecmp(e->drops[i].name, name) == 0)
            return;
    if (e->drop_count == EDITS_MAX)
        return; /* the lines are as many, and that is an error */
    e->drop_lens |= 1ull << (len & 63);
    e->drops[e->drop_count++] = (struct conf_drop){name, (uint32_t)len};
}

static void add_line(struct build *b, const struct conf_named *pair, bool always)
{
    if (b->count == EDITS_MAX)
        walk_error(b->w, pair->pos, NULL, "more than %u header edits", EDITS_MAX);
    else
        b->lines[b->count++] = (struct line){pair, always};
}

/* Where the configuration names it: conf/route_values.c. Here are those that authentication writes.
 */
static bool said_already(const struct conf_headers *h, uint32_t i)
{
    return h->pos.line == 0 && route_frames_message(h->remove[i]);
}

static void collect(struct build *b, const struct conf_headers *h)
{
    for (uint32_t i = 0; i < h->remove_count; i++)
        if (said_already(h, i) || check_name(b, h->remove[i], h->pos, false))
            drop_field(b, h->remove[i]);
    for (uint32_t i = 0; i < h->set_count; i++)
        if (check_name(b, h->set[i].name, h->set[i].pos, true))
            drop_field(b, h->set[i].name);
    for (uint32_t i = 0; i < h->set_count; i++)
        add_line(b, &h->set[i], h->always);
    for (uint32_t i = 0; i < h->add_count; i++)
        if (check_name(b, h->add[i].name, h->add[i].pos, false))
            add_line(b, &h->add[i], h->always);
}

/* ---- writing ---- */

static uint32_t write_line(struct build *b, const struct conf_named *p, struct conf_template *out)
{
    char why[240];
    template_add_text(out, b->w->arena, p->name, p->name_len);
    template_add_text(out, b->w->arena, ": ", 2);
    if (template_parse(out, b->w->arena, p->value, TEMPLATE_IN_HEADER, 0, why, sizeof why) == -1)
        walk_error(b->w, p->pos, NULL, "%s: %s", p->name, why);
    template_add_text(out, b->w->arena, "\r\n", 2);
    return p->name_len + p->value_len + 4;
}

static void write_block(struct build *b)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        bytes += write_line(b, b->lines[i].pair, &b->edits->block);
        if (b->lines[i].always)
            (void)write_line(b, b->lines[i].pair, &b->edits->always);
    }
    if (bytes > BLOCK_BYTES)
        walk_error(b->w, b->lines[0].pair->pos, NULL,
                   "the fields that are set or added take %u bytes, and %u is the most", bytes,
                   BLOCK_BYTES);
}

const struct conf_edits *route_edits(struct walk *w, const struct conf_headers *const *groups,
                                     uint32_t count, bool request)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++)
        any |= groups[i]->set_count || groups[i]->add_count || groups[i]->remove_count;
    if (!any)
        return NULL;
    struct build *b = ARENA_NEW(w->scratch, struct build);
    b->w = w;
    b->request = request;
    b->edits = ARENA_NEW(w->arena, struct conf_edits);
    uint32_t drops = 0;
    for (uint32_t i = 0; i < count; i++)
        drops += groups[i]->set_count + groups[i]->remove_count;
    b->edits->drops = ARENA_ARRAY(w->arena, struct conf_drop, drops);
    for (uint32_t i = 0; i < count; i++)
        collect(b, groups[i]);
    write_block(b);
    return b->edits;
}
