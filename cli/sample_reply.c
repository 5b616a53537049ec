#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/log.h"
#include "cli/sample.h"

#define HEAD_MAX       1024
#define NAME_MAX_SHOWN 128

void sample_out_add(struct sample_out *o, const void *data, size_t len)
{
    if (len == 0)
        return; /* there may be no buffer yet */
    if (o->len + len > o->cap) {
        size_t cap = (o->len + len) * 2;
        char *buf = realloc(o->buf, cap);
        if (!buf) {
            log_error("sample backend: out of memory");
            abort();
        }
        o->buf = buf;
        o->cap = cap;
    }
    memcpy(o->buf + o->len, data, len);
    o->len += len;
}

void sample_out_printf(struct sample_out *o, const char *fmt, ...)
{
    char text[HEAD_MAX];
    va_list ap;

    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len > 0)
        sample_out_add(o, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

static bool path_is(const struct sample_conn *c, const char *path)
{
    return c->head.path.len == strlen(path) &&
           memcmp(c->in + c->head.path.off, path, c->head.path.len) == 0;
}

static void write_head(struct sample_conn *c, const char *type, uint64_t length)
{
    char date[40];
    struct tm tm;
    time_t now = time(NULL);

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    sample_out_printf(&c->out,
                      "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %llu\r\n"
                      "X-Backend: %s\r\n%s\r\n",
                      c->status, http1_reason(c->status), date, type, (unsigned long long)length,
                      c->server->options.id, c->keep_alive ? "" : "Connection: close\r\n");
}

static const char *span(const struct sample_conn *c, struct http1_span s)
{
    return c->in + s.off;
}

static bool same_name(const struct sample_conn *c, unsigned a, unsigned b)
{
    struct http1_span x = c->head.headers[a].name, y = c->head.headers[b].name;

    return x.len == y.len && strncasecmp(span(c, x), span(c, y), x.len) == 0;
}

/* All values of the name of header i, joined as RFC 9110 5.3 allows. */
static void describe_header(struct sample_conn *c, unsigned i)
{
    struct sample_out all = {0};
    char name[NAME_MAX_SHOWN];

    for (unsigned k = 0; k < i; k++)
        if (same_name(c, i, k))
            return; /* was joined there */
    for (unsigned k = i; k < c->head.count; k++) {
        struct http1_span v = c->head.headers[k].value;
        if (!same_name(c, i, k))
            continue;
        if (k > i)
            sample_out_add(&all, ", ", 2);
        sample_out_add(&all, span(c, v), v.len);
    }
    struct http1_span n = c->head.headers[i].name;
    snprintf(name, sizeof(name), "%.*s", (int)n.len, span(c, n));
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    json_key(&c->answer, name);
    json_string_n(&c->answer, all.buf ? all.buf : "", all.len);
    free(all.buf);
}

/* Is it this request's turn to fail? */
static bool due_to_fail(struct sample_server *s)
{
    s->fail_debt += s->options.fail_rate;
    if (s->fail_debt < 1)
        return false;
    s->fail_debt -= 1;
    return true;
}

static void describe_request(struct sample_conn *c)
{
    struct json *j = &c->answer;

    json_kv_string(j, "id", c->server->options.id);
    json_kv_uint(j, "port", c->server->options.port);
    json_key(j, "method");
    json_string_n(j, span(c, c->head.method), c->head.method.len);
    json_key(j, "path");
    json_string_n(j, span(c, c->head.target), c->head.target.len);
    json_key(j, "headers");
    json_object_begin(j);
    for (unsigned i = 0; i < c->head.count; i++)
        describe_header(c, i);
    json_object_end(j);
}

void sample_describe(struct sample_conn *c)
{
    json_free(&c->answer);
    json_init(&c->answer);
    json_object_begin(&c->answer);
    c->status = 200;
    c->filler_left = 0;
    c->body_done = path_is(c, "/health");
    if (c->body_done) {
        json_kv_string(&c->answer, "status", "healthy");
    } else if (path_is(c, "/ws")) {
        c->status = 426;
        json_kv_string(&c->answer, "error",
                       "this is a WebSocket echo: ask with Upgrade: websocket");
    } else if (due_to_fail(c->server)) {
        c->status = 500;
        json_kv_string(&c->answer, "error", "failing as asked by --fail-rate");
        json_kv_string(&c->answer, "id", c->server->options.id);
    } else {
        describe_request(c);
    }
}

void sample_reply(struct sample_conn *c)
{
    uint32_t filler = c->server->options.body_bytes;
    size_t len;

    if (c->status == 200 && filler > 0 && !c->body_done) {
        write_head(c, "application/octet-stream", filler);
        c->filler_left = c->is_head ? 0 : filler;
        return;
    }
    if (c->status == 200 && !c->body_done)
        json_kv_uint(&c->answer, "body_bytes", c->body_bytes);
    json_object_end(&c->answer);
    const char *text = json_finish(&c->answer, &len);
    write_head(c, "application/json", len + 1);
    if (c->is_head)
        return;
    sample_out_add(&c->out, text, len);
    sample_out_add(&c->out, "\n", 1);
}

void sample_reply_error(struct sample_conn *c, uint16_t status, const char *text)
{
    c->status = status ? status : 400;
    c->keep_alive = false;
    c->is_head = false;
    json_free(&c->answer);
    json_init(&c->answer);
    json_object_begin(&c->answer);
    json_kv_string(&c->answer, "error", text);
    c->body_done = true;
    sample_reply(c);
}
