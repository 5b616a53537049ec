/*
 * The HTTP/1 parser as a program, for tests/func/test_http1_differential.py: with --serve it
 * answers each message on stdin with one line on stdout. Without arguments it checks what it would
 * have said about a few.
 *
 *   in:  kind (Q request, R response, H response to HEAD, C response to CONNECT), length (4 bytes,
 * big-endian), bytes out: result minor status method target body length keep_alive head_bytes
 * payload name:value[,name:value...]
 *
 * method, target, payload, names and values in hexadecimal, empty as "-". A chunked or counted body
 * is read too and decides about the result; payload of a body that ends with the connection is
 * whatever is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/http1.h"

#define MESSAGE_MAX 65536
#define ANSWER_MAX  (MESSAGE_MAX * 4)

struct text {
    char bytes[ANSWER_MAX];
    size_t len;
};

static const struct http1_limits limits = {.head_bytes = MESSAGE_MAX, .headers = HTTP1_HEADERS_MAX};
static const char *const results[] = {"more", "done", "error"};
static const char *const bodies[] = {"none", "length", "chunked", "close"};

static void put_hex(struct text *out, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out->len += (size_t)sprintf(out->bytes + out->len, "%02x", (unsigned)(uint8_t)s[i]);
    }
}

static void put_word(struct text *out, const char *s, size_t len)
{
    out->bytes[out->len++] = ' ';
    put_hex(out, s, len);
    if (len == 0) {
        out->bytes[out->len++] = '-';
    }
}

static void put_headers(struct text *out, const struct http1_head *h, const char *buf)
{
    out->len += (size_t)sprintf(out->bytes + out->len, h->count > 0 ? " " : " -");
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (i > 0) {
            out->bytes[out->len++] = ',';
        }
        put_hex(out, buf + f->name.off, f->name.len);
        out->bytes[out->len++] = ':';
        put_hex(out, buf + f->value.off, f->value.len);
    }
}

static enum http1_result read_chunked(const char *buf, uint32_t len, char *payload,
                                      uint32_t *payload_len)
{
    struct http1_chunked c;
    struct http1_span run;
    uint32_t at = 0, consumed = 0;
    enum http1_result r;

    http1_chunked_reset(&c);
    do {
        r = http1_chunked_step(&c, buf + at, len - at, &consumed, &run);
        if (r != HTTP1_ERROR) {
            memcpy(payload + *payload_len, buf + at + run.off, run.len);
            *payload_len += run.len;
            at += consumed;
        }
    } while (r == HTTP1_MORE && consumed > 0);
    return r;
}

static enum http1_result read_body(const struct http1_head *h, const char *buf, uint32_t len,
                                   char *payload, uint32_t *payload_len)
{
    uint32_t left = len - h->head_bytes;

    if (h->body == HTTP1_BODY_CHUNKED) {
        return read_chunked(buf + h->head_bytes, left, payload, payload_len);
    }
    if (h->body == HTTP1_BODY_LENGTH && left > h->content_length) {
        left = (uint32_t)h->content_length;
    }
    *payload_len = h->body == HTTP1_BODY_NONE ? 0 : left;
    memcpy(payload, buf + h->head_bytes, *payload_len);
    return h->body == HTTP1_BODY_LENGTH && left < h->content_length ? HTTP1_MORE : HTTP1_DONE;
}

static const char *answer(char kind, const char *buf, uint32_t len)
{
    static struct http1_head h;
    static struct text out;
    static char payload[MESSAGE_MAX];
    uint32_t payload_len = 0;
    enum http1_result r;

    http1_head_reset(&h);
    r = kind == 'Q' ? http1_parse_request(&h, buf, len, &limits)
                    : http1_parse_response(&h, buf, len, &limits, kind == 'H', kind == 'C');
    if (r == HTTP1_DONE) {
        r = read_body(&h, buf, len, payload, &payload_len);
    }
    out.len = (size_t)sprintf(out.bytes, "%s %u %u", results[r], h.minor, h.status);
    put_word(&out, buf + h.method.off, h.method.len);
    put_word(&out, buf + h.target.off, h.target.len);
    out.len += (size_t)sprintf(out.bytes + out.len, " %s %llu %d %u", bodies[h.body],
                               (unsigned long long)h.content_length, h.keep_alive, h.head_bytes);
    put_word(&out, payload, payload_len);
    put_headers(&out, &h, buf);
    out.bytes[out.len] = '\0';
    return out.bytes;
}

static int serve(void)
{
    static char buf[MESSAGE_MAX];
    uint8_t frame[5];

    while (fread(frame, sizeof(frame), 1, stdin) == 1) {
        uint32_t len = (uint32_t)frame[1] << 24 | (uint32_t)frame[2] << 16 |
                       (uint32_t)frame[3] << 8 | frame[4];
        if (len > sizeof(buf) || fread(buf, 1, len, stdin) != len) {
            return 1;
        }
        puts(answer((char)frame[0], buf, len));
        fflush(stdout);
    }
    return 0;
}

static int self_test(void)
{
    static const struct {
        char kind;
        const char *message, *answer;
    } rows[] = {
        {'Q', "GET /a HTTP/1.1\r\nHost: b\r\n\r\n",
         "done 1 0 474554 2f61 none 0 1 28 - 486f7374:62"},
        {'Q', "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         "error 0 400 505554 2f none 0 0 46 - 5472616e736665722d456e636f64696e67:6368756e6b6564"},
        {'R', "HTTP/1.1 200 OK\r\n\r\nxy", "done 1 200 - - close 0 0 19 7879 -"},
        {'H', "HTTP/1.1 200 OK\r\n\r\nxy", "done 1 200 - - none 0 1 19 - -"},
    };
    unsigned failed = 0;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *got = answer(rows[i].kind, rows[i].message, (uint32_t)strlen(rows[i].message));
        if (strcmp(got, rows[i].answer) != 0) {
            printf("FAIL %s\n  got  %s\n  want %s\n", rows[i].message, got, rows[i].answer);
            failed++;
        }
    }
    printf("%zu passed, %u failed\n", ARRAY_LEN(rows) - failed, failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "--serve") == 0 ? serve() : self_test();
}
