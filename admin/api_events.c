#include "admin/api.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "shm/events.h"

#define LIMIT_DEFAULT 1000
#define WAIT_MAX_MS   60000u

struct ask {
    uint64_t since;
    uint32_t limit;
    uint32_t wait_ms;
};

static void write_event(struct json *j, const struct event_copy *e)
{
    char when[32];
    json_object_begin(j);
    json_kv_uint(j, "seq", e->seq);
    json_kv_string(j, "time", clock_format_rfc3339(e->wall_ms, when, sizeof(when)));
    json_kv_string(j, "kind", e->kind);
    json_kv_string(j, "object", e->object);
    json_kv_string(j, "from", *e->from ? e->from : NULL);
    json_kv_string(j, "to", *e->to ? e->to : NULL);
    json_kv_string(j, "reason", *e->reason ? e->reason : NULL);
    json_object_end(j);
}

/* "5s", "500ms" or "5": milliseconds, or -1. */
static int64_t parse_wait(const char *text)
{
    char *end;
    long long n = strtoll(text, &end, 10);
    if (end == text || n < 0 || n > WAIT_MAX_MS)
        return -1;
    if (strcmp(end, "ms") == 0)
        return n;
    if (*end && strcmp(end, "s") != 0)
        return -1;
    return n * 1000 <= WAIT_MAX_MS ? n * 1000 : -1;
}

/* A negative number counts from the newest. One from the future is of an instance that was here
 * before this one. */
static uint64_t since_of(int64_t asked, uint64_t last)
{
    if (asked >= 0)
        return (uint64_t)asked < last ? (uint64_t)asked : last;
    uint64_t back = 0 - (uint64_t)asked;
    return back < last ? last - back : 0;
}

static const char *parse_ask(const struct table *t, const struct request *q, struct ask *out)
{
    int64_t since = 0, limit = LIMIT_DEFAULT, wait_ms = 0;
    char wait[16] = "0";
    if (request_query_int(q, "since", &since) < 0)
        return "since must be a whole number";
    if (request_query_int(q, "limit", &limit) < 0 || limit < 1 || limit > EVENT_MAX)
        return "limit must be a whole number from 1 to 4096";
    if (request_query(q, "wait", wait, sizeof(wait)) < 0 || (wait_ms = parse_wait(wait)) < 0)
        return "wait must be a time like 5s, at most 60s";
    out->since = since_of(since, event_last(t));
    out->limit = (uint32_t)limit;
    out->wait_ms = (uint32_t)wait_ms;
    return NULL;
}

static void write_events(struct api *a, struct response *r, const struct ask *ask)
{
    struct event_copy *events = malloc(sizeof(*events) * ask->limit);
    uint32_t count = events ? event_read(a->table, ask->since, events, ask->limit) : 0;
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_key(j, "events");
    json_array_begin(j);
    for (uint32_t i = 0; i < count; i++)
        write_event(j, &events[i]);
    json_array_end(j);
    json_kv_uint(j, "last", count ? events[count - 1].seq : ask->since);
    json_kv_uint(j, "newest", event_last(a->table));
    json_object_end(j);
    free(events);
}

/* With wait the response is deferred; it is asked again while wait is RESPONSE_WAIT_EVENTS (see
 * session.c). */
void api_events(struct api *a, const struct request *q, struct response *r)
{
    struct ask ask;
    const char *wrong = parse_ask(a->table, q, &ask);
    if (wrong) {
        response_problem(r, 400, "bad-request", "%s", wrong);
        return;
    }
    if (r->wait == RESPONSE_WAIT_EVENTS)
        ask.since = r->since; /* what "the newest" meant when it began to wait */
    write_events(a, r, &ask);
    r->since = ask.since;
    if (ask.wait_ms && !a->draining && event_last(a->table) <= ask.since)
        response_defer(r, RESPONSE_WAIT_EVENTS, ask.wait_ms);
}
