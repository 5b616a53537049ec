#include "admin/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned method;
} methods[] = {
    {"GET", REQUEST_GET},
    {"POST", REQUEST_POST},
    {"PUT", REQUEST_PUT},
    {"DELETE", REQUEST_DELETE},
};

const char *request_method_name(unsigned method)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (methods[i].method == method)
            return methods[i].name;
    return "";
}

static unsigned method_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    return REQUEST_OTHER;
}

static const char *copy_span(struct arena *arena, const char *buf, struct http1_span span)
{
    return arena_strndup(arena, buf + span.off, span.len);
}

static const char *copy_header(struct arena *arena, const struct http1_head *head, const char *buf,
                               enum http1_header_id id)
{
    const struct http1_header *h = http1_find(head, id);
    return h ? copy_span(arena, buf, h->value) : NULL;
}

void request_from_head(struct request *q, const struct http1_head *head, const char *buf,
                       struct arena *arena)
{
    memset(q, 0, sizeof(*q));
    q->method = method_of(copy_span(arena, buf, head->method));
    if (head->is_head) {
        q->method = REQUEST_GET;
        q->head = true;
    }
    q->path = copy_span(arena, buf, head->path);
    q->query = copy_span(arena, buf, head->query);
    if (head->authority.len)
        q->host = copy_span(arena, buf, head->authority);
    q->origin = copy_header(arena, head, buf, HTTP1_H_ORIGIN);
    q->authorization = copy_header(arena, head, buf, HTTP1_H_AUTHORIZATION);
    q->accept = copy_header(arena, head, buf, HTTP1_H_ACCEPT);
    const struct http1_header *match = http1_find_name(head, buf, "if-match", strlen("if-match"));
    if (match)
        q->if_match = copy_span(arena, buf, match->value);
    q->body = "";
    q->peer = "";
    q->bind_host = "";
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int request_decode(const char *text, size_t len, char *out, size_t cap)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            byte = high * 16 + low;
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f || at + 1 >= cap)
            return -1;
        out[at++] = (char)byte;
    }
    if (cap == 0)
        return -1;
    out[at] = '\0';
    return 0;
}

int request_query(const struct request *q, const char *name, char *out, size_t cap)
{
    size_t name_len = strlen(name);
    for (const char *at = q->query; *at;) {
        size_t len = strcspn(at, "&");
        if (len >= name_len && memcmp(at, name, name_len) == 0) {
            if (len == name_len)
                return request_decode("", 0, out, cap) == 0 ? 1 : -1;
            if (at[name_len] == '=')
                return request_decode(at + name_len + 1, len - name_len - 1, out, cap) == 0 ? 1
                                                                                            : -1;
        }
        at += len;
        if (*at == '&')
            at++;
    }
    return 0;
}

int request_query_int(const struct request *q, const char *name, int64_t *out)
{
    char text[24];
    int found = request_query(q, name, text, sizeof(text));
    if (found <= 0)
        return found;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || text[0] == ' ' || text[0] == '+')
        return -1;
    *out = value;
    return 1;
}
