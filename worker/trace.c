#include "worker/trace.h"

#include <strings.h>
#include "base/traceparent.h"
#include "conf/route.h"
#include "worker/edits.h"

static bool is(const struct http1_header *f, const char *base, const char *name, uint32_t len)
{
    return f->name.len == len && strncasecmp(base + f->name.off, name, len) == 0;
}

static bool is_parent(const struct http1_header *f, const char *base)
{
    return is(f, base, "traceparent", 11);
}

bool trace_drops(const struct http1_header *f, const char *base)
{
    return is_parent(f, base) || is(f, base, "tracestate", 10);
}

/* Not zero. */
static uint64_t draw(struct worker *w)
{
    uint64_t value = worker_random(w);
    return value ? value : 1;
}

/* The one field there is, when it is valid. */
static bool read_theirs(const struct http1_head *h, const char *base, uint64_t id[2])
{
    const struct http1_header *found = NULL;
    for (uint32_t i = 0; i < h->count; i++) {
        if (!is_parent(&h->headers[i], base))
            continue;
        if (found)
            return false;
        found = &h->headers[i];
    }
    return found && traceparent_read(base + found->value.off, found->value.len, id);
}

void trace_begin(struct txn *t, const struct http1_head *h, const char *base)
{
    t->trace_due = !read_theirs(h, base, t->trace);
    if (!t->trace_due)
        return;
    t->trace[0] = draw(t->worker);
    t->trace[1] = draw(t->worker);
}

void trace_append(struct txn *t, struct buf *out)
{
    static const char name[] = "traceparent: ";
    char value[TRACEPARENT_BYTES];
    const struct conf_edits *edits = t->route->request_edits;
    t->trace_due = false;
    if (edits && edits_drop_name(edits, "traceparent", 11))
        return;
    bool sampled = worker_random(t->worker) % 100 < t->listener->traceparent_sample;
    traceparent_write(value, t->trace, draw(t->worker), sampled);
    buf_append(out, name, sizeof name - 1);
    buf_append(out, value, sizeof value);
    buf_append(out, "\r\n", 2);
}
