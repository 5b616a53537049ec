#include "admin/response.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/http1.h"

void response_init(struct response *r)
{
    memset(r, 0, sizeof(*r));
    r->content_type = "text/plain; charset=utf-8";
}

static void drop_body(struct response *r)
{
    if (r->json_open)
        json_free(&r->json);
    r->json_open = false;
    free(r->text);
    r->text = NULL;
    r->fixed = NULL;
    r->len_bytes = 0;
    r->wait = RESPONSE_NOW;
}

void response_free(struct response *r)
{
    drop_body(r);
    r->headers_len = 0;
}

struct json *response_json(struct response *r, unsigned status)
{
    drop_body(r);
    r->status = status;
    r->content_type = "application/json";
    json_init(&r->json);
    r->json_open = true;
    return &r->json;
}

void response_text(struct response *r, const char *content_type, char *text, size_t len_bytes)
{
    drop_body(r);
    r->status = 200;
    r->content_type = content_type;
    r->text = text;
    r->len_bytes = len_bytes;
}

void response_fixed(struct response *r, const char *content_type, const char *text,
                    size_t len_bytes)
{
    drop_body(r);
    r->status = 200;
    r->content_type = content_type;
    r->fixed = text;
    r->len_bytes = len_bytes;
}

void response_header(struct response *r, const char *name, const char *fmt, ...)
{
    char value[768];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    assert(len >= 0 && (size_t)len < sizeof(value));
    size_t room = sizeof(r->headers) - r->headers_len;
    int n = snprintf(r->headers + r->headers_len, room, "%s: %s\r\n", name, value);
    assert(n > 0 && (size_t)n < room);
    r->headers_len += (size_t)n;
}

struct json *response_problem_open(struct response *r, unsigned status, const char *slug,
                                   const char *detail)
{
    struct json *j = response_json(r, status);
    char type[96];
    snprintf(type, sizeof(type), "urn:ballast:problem:%s", slug);
    r->content_type = "application/problem+json";
    json_object_begin(j);
    json_kv_string(j, "type", type);
    json_kv_string(j, "title", http1_reason(status));
    json_kv_uint(j, "status", status);
    json_kv_string(j, "detail", detail);
    json_kv_string(j, "error", detail);
    return j;
}

void response_problem(struct response *r, unsigned status, const char *slug, const char *fmt, ...)
{
    char detail[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    json_object_end(response_problem_open(r, status, slug, detail));
}

void response_defer(struct response *r, enum response_wait wait, uint32_t wait_ms)
{
    r->wait = wait;
    r->wait_ms = wait_ms;
}

const char *response_body(struct response *r, size_t *len_bytes)
{
    if (r->json_open)
        return json_finish(&r->json, len_bytes);
    *len_bytes = r->len_bytes;
    if (r->text)
        return r->text;
    return r->fixed ? r->fixed : "";
}

static void format_date(char *out, size_t cap)
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(out, cap, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

size_t response_write_head(struct response *r, bool keep_alive, char *out, size_t cap)
{
    size_t body_bytes;
    char date[40];
    response_body(r, &body_bytes);
    format_date(date, sizeof(date));
    int len = snprintf(out, cap,
                       "HTTP/1.1 %u %s\r\nDate: %s\r\nServer: ballast\r\nContent-Type: %s\r\n"
                       "Content-Length: %zu\r\nCache-Control: no-store\r\n"
                       "X-Content-Type-Options: nosniff\r\n%.*s%s\r\n",
                       r->status, http1_reason(r->status), date, r->content_type, body_bytes,
                       (int)r->headers_len, r->headers, keep_alive ? "" : "Connection: close\r\n");
    assert(len > 0 && (size_t)len < cap);
    return (size_t)len;
}
