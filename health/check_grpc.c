/*
 * health/check_grpc.c: the gRPC health checking protocol: grpc.health.v1.Health/Check over HTTP/2,
 * with prior knowledge or inside TLS. The request is HealthCheckRequest { string service = 1 }, the
 * answer HealthCheckResponse { ServingStatus status = 1 }; two messages so small that they are
 * written and read by hand. SERVING is healthy, everything else is a failure.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include "health/check.h"

#define SERVICE_MAX_BYTES 255u /* conf/rows_health.c */
#define PREFIX_BYTES      5u   /* of a message: compressed, length */
#define ANSWER_MAX_BYTES  64u  /* SERVING is 2 */
#define STATUS_SERVING    1u

struct exchange {
    nghttp2_session *session;
    char request[PREFIX_BYTES + 3 + SERVICE_MAX_BYTES];
    uint32_t request_len, request_sent;
    char answer[ANSWER_MAX_BYTES];
    uint32_t answer_len;
    int http_status, grpc_status; /* -1: not seen */
    bool closed;                  /* the stream is */
    uint32_t closed_code;
    const uint8_t *out; /* what the session wants to send, and how much of it is left */
    size_t out_len;
};

void check_grpc_forget(struct check *c)
{
    struct exchange *x = c->state;
    nghttp2_session_del(x->session);
    free(x);
    c->state = NULL;
}

/* ---- the two messages ---- */

/* A message with one string field, behind its prefix. A length below 128 is one byte, else two. */
static uint32_t write_message(char *out, const char *service)
{
    size_t len = strnlen(service, 0x3fff), at = PREFIX_BYTES;
    if (len > 0) {
        out[at++] = 0x0a; /* field 1, bytes */
        out[at++] = (char)(len < 128 ? len : (len & 0x7f) | 0x80);
        if (len >= 128)
            out[at++] = (char)(len >> 7);
        memcpy(out + at, service, len);
        at += len;
    }
    memset(out, 0, PREFIX_BYTES);
    out[3] = (char)((at - PREFIX_BYTES) >> 8);
    out[4] = (char)(at - PREFIX_BYTES);
    return (uint32_t)at;
}

/* The varint at *at. False: cut short. */
static bool take_varint(const uint8_t *data, uint32_t len, uint32_t *at, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; *at < len && shift < 64; shift += 7) {
        uint8_t byte = data[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* The status of an answer, -1 when it is none. An absent field is 0: UNKNOWN. */
static int read_answer(const struct exchange *x)
{
    const uint8_t *data = (const uint8_t *)x->answer;
    uint32_t at = PREFIX_BYTES;
    uint64_t status = 0, tag, value;
    if (x->answer_len < PREFIX_BYTES || data[0] != 0)
        return -1;
    uint32_t len =
        ((uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4]);
    if (len != x->answer_len - PREFIX_BYTES)
        return -1;
    while (at < x->answer_len) {
        if (!take_varint(data, x->answer_len, &at, &tag) || (tag & 7) != 0 ||
            !take_varint(data, x->answer_len, &at, &value))
            return -1;
        status = tag >> 3 == 1 ? value : status;
    }
    return status < 1000 ? (int)status : 1000;
}

/* ---- the verdict ---- */

static const char *grpc_status_name(int code)
{
    static const char *const names[] = {"OK",
                                        "CANCELLED",
                                        "UNKNOWN",
                                        "INVALID_ARGUMENT",
                                        "DEADLINE_EXCEEDED",
                                        "NOT_FOUND",
                                        "ALREADY_EXISTS",
                                        "PERMISSION_DENIED",
                                        "RESOURCE_EXHAUSTED",
                                        "FAILED_PRECONDITION",
                                        "ABORTED",
                                        "OUT_OF_RANGE",
                                        "UNIMPLEMENTED",
                                        "INTERNAL",
                                        "UNAVAILABLE",
                                        "DATA_LOSS",
                                        "UNAUTHENTICATED"};
    return code >= 0 && (size_t)code < ARRAY_LEN(names) ? names[code] : "unknown code";
}

static void judge_answer(struct check *c)
{
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    struct exchange *x = c->state;
    int status = read_answer(x);
    if (status == STATUS_SERVING)
        check_pass(c, 0, "SERVING");
    else if (status == -1)
        check_fail(c, (uint32_t)-EPROTO, "the answer is no HealthCheckResponse");
    else
        check_fail(c, 0, "%s",
                   (size_t)status < ARRAY_LEN(names) ? names[status] : "an unknown status");
}

static void judge(struct check *c)
{
    struct exchange *x = c->state;
    if (x->closed_code != NGHTTP2_NO_ERROR)
        check_fail(c, (uint32_t)-EPROTO, "stream reset: %s",
                   nghttp2_http2_strerror(x->closed_code));
    else if (x->http_status != 200)
        check_fail(c, x->http_status > 0 ? (uint32_t)x->http_status : 0, "status %d, expected 200",
                   x->http_status);
    else if (x->grpc_status == -1)
        check_fail(c, (uint32_t)-EPROTO, "the answer has no grpc-status");
    else if (x->grpc_status != 0)
        check_fail(c, (uint32_t)x->grpc_status, "grpc-status %d %s", x->grpc_status,
                   grpc_status_name(x->grpc_status));
    else
        judge_answer(c);
}

/* ---- what the session tells ---- */

static int to_number(const uint8_t *value, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9' || n > 10000)
            return -1;
        n = n * 10 + (value[i] - '0');
    }
    return len > 0 ? n : -1;
}

static bool is_named(const uint8_t *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

static int on_header(nghttp2_session *s UNUSED, const nghttp2_frame *frame UNUSED,
                     const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len,
                     uint8_t flags UNUSED, void *user)
{
    struct exchange *x = user;
    if (is_named(name, name_len, ":status"))
        x->http_status = to_number(value, value_len);
    else if (is_named(name, name_len, "grpc-status"))
        x->grpc_status = to_number(value, value_len);
    return 0;
}

static int on_data(nghttp2_session *s UNUSED, uint8_t flags UNUSED, int32_t stream UNUSED,
                   const uint8_t *data, size_t len, void *user)
{
    struct exchange *x = user;
    if (len > sizeof(x->answer) - x->answer_len)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(x->answer + x->answer_len, data, len);
    x->answer_len += (uint32_t)len;
    return 0;
}

static int on_closed(nghttp2_session *s UNUSED, int32_t stream UNUSED, uint32_t code, void *user)
{
    struct exchange *x = user;
    x->closed = true;
    x->closed_code = code;
    return 0;
}

static ssize_t read_request(nghttp2_session *s UNUSED, int32_t stream UNUSED, uint8_t *buf,
                            size_t cap, uint32_t *flags, nghttp2_data_source *source,
                            void *user UNUSED)
{
    struct exchange *x = source->ptr;
    size_t left = x->request_len - x->request_sent, n = left < cap ? left : cap;
    memcpy(buf, x->request + x->request_sent, n);
    x->request_sent += (uint32_t)n;
    if (n == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* ---- moving bytes ---- */

static void step(struct check *c);

/* True: everything is sent. */
static bool send_out(struct check *c)
{
    struct exchange *x = c->state;
    for (;;) {
        if (x->out_len == 0) {
            ssize_t n = nghttp2_session_mem_send(x->session, &x->out);
            if (n <= 0)
                return true;
            x->out_len = (size_t)n;
        }
        c->sent_bytes = 0;
        bool sent = check_send(c, x->out, (uint32_t)x->out_len, step);
        if (c->state == NULL) /* it has ended */
            return false;
        x->out += sent ? x->out_len : c->sent_bytes;
        x->out_len -= sent ? x->out_len : c->sent_bytes;
        if (!sent)
            return false;
    }
}

static void take_in(struct check *c, const uint8_t *data, ssize_t n)
{
    struct exchange *x = c->state;
    if (n == 0) {
        check_fail(c, (uint32_t)-ENODATA, "closed before the answer");
        return;
    }
    ssize_t used = nghttp2_session_mem_recv(x->session, data, (size_t)n);
    if (used < 0)
        check_fail(c, (uint32_t)-EPROTO, "not HTTP/2: %s", nghttp2_strerror((int)used));
    else if (x->closed)
        judge(c);
}

static void on_readable(struct check *c)
{
    uint8_t buf[4096];
    for (;;) {
        ssize_t n = check_recv(c, buf, sizeof(buf));
        if (n == -1)
            break;
        take_in(c, buf, n);
        if (c->state == NULL)
            return;
    }
    if (c->state != NULL)
        step(c);
}

/* Sends what there is to be sent, then waits for more of the answer. */
static void step(struct check *c)
{
    struct exchange *x = c->state;
    if (!send_out(c))
        return;
    if (!nghttp2_session_want_read(x->session))
        check_fail(c, (uint32_t)-EPROTO, "the backend ended the HTTP/2 session");
    else
        check_wait(c, EV_READ, "waiting for the answer", on_readable);
}

/* ---- the request ---- */

static nghttp2_session *open_session(struct exchange *x)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    if (nghttp2_session_client_new(&session, callbacks, x) != 0)
        session = NULL;
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static bool submit(struct check *c)
{
    struct exchange *x = c->state;
    const char *host = c->health->host[0] != '\0'           ? c->health->host
                       : c->addr->u.sa.sa_family == AF_UNIX ? "localhost"
                                                            : c->endpoint;
    const nghttp2_nv fields[] = {field(":method", "POST"),
                                 field(":scheme", c->tls != NULL ? "https" : "http"),
                                 field(":path", "/grpc.health.v1.Health/Check"),
                                 field(":authority", host),
                                 field("content-type", "application/grpc"),
                                 field("te", "trailers"),
                                 field("user-agent", "ballast-health/" BALLAST_VERSION)};
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_data_provider body = {.source.ptr = x, .read_callback = read_request};
    return nghttp2_submit_settings(x->session, NGHTTP2_FLAG_NONE, settings, 1) == 0 &&
           nghttp2_submit_request(x->session, NULL, fields, ARRAY_LEN(fields), &body, NULL) > 0;
}

static void on_opened(struct check *c)
{
    struct exchange *x = calloc(1, sizeof(*x));
    c->state = x;
    if (x != NULL) {
        x->http_status = x->grpc_status = -1;
        x->request_len = write_message(x->request, c->health->service);
        x->session = open_session(x);
    }
    if (x == NULL || x->session == NULL || !submit(c))
        check_impossible(c, "no memory for an HTTP/2 session");
    else
        step(c);
}

void check_grpc_start(struct check *c)
{
    check_open(c, on_opened);
}
