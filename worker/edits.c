#include "worker/edits.h"

#include <string.h>
#include "base/cgi_name.h"
#include "worker/vars.h"

bool edits_drop_name(const struct conf_edits *e, const char *name, size_t len)
{
    uint8_t id = http1_name_id(name, len);
    if (id != HTTP1_H_OTHER)
        return e->drop_ids & 1ull << id;
    for (uint32_t i = 0; i < e->drop_count; i++)
        if (e->drops[i].len == len && cgi_name_same(e->drops[i].name, name, len))
            return true;
    return false;
}

bool edits_append_request(struct txn *t, struct buf *out, const struct http1_head *h,
                          const char *base)
{
    return vars_append(out, &t->route->request_edits->block, &(struct vars){t, h, base, NULL});
}

/* ---- responses ---- */

/* Both groups, one behind the other: most answers want the first. */
bool edits_prepare(struct txn *t, const struct http1_head *h, const char *base)
{
    const struct conf_edits *e = t->route->response_edits;
    if (!e || template_is_text(&e->block))
        return true;
    struct vars v = {t, h, base, NULL};
    if (!t->fields)
        t->fields = buf_get(&t->worker->bufs, false);
    if (!t->fields)
        return false;
    t->fields->start = t->fields->end = 0;
    if (!vars_append(t->fields, &e->block, &v))
        return false;
    t->fields_block = t->fields->end;
    return vars_append(t->fields, &e->always, &v);
}

/* Where the text of these fields is: in the configuration, or written down before. */
static const char *find_text(const struct txn *t, const struct conf_template *fields, uint32_t *len)
{
    *len = 0;
    if (template_is_text(fields)) {
        *len = fields->count ? fields->parts[0].len : 0;
        return fields->count ? fields->parts[0].text : "";
    }
    if (!t->fields) /* refused before it was routed: these cannot be told */
        return "";
    bool block = fields == &t->route->response_edits->block;
    *len = block ? t->fields_block : t->fields->end - t->fields_block;
    return t->fields->data + (block ? 0 : t->fields_block);
}

uint32_t edits_bytes(const struct txn *t, const struct conf_template *fields)
{
    uint32_t len;
    find_text(t, fields, &len);
    return len;
}

void edits_append(struct txn *t, struct buf *out, const struct conf_template *fields)
{
    uint32_t len;
    const char *text = find_text(t, fields, &len);
    buf_append(out, text, len);
}
