/* From fields to text and from text to fields (worker/h2_request.c, h2_backend_text.c,
 * h2_response.c): whatever passes libnghttp2's own checks, the text is one message and no more, and
 * what goes on is what came. Input: a byte of flags, then name NUL value NUL. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/h2_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { END_STREAM = 1, IS_HEAD = 2, ANSWER = 4 };

static struct worker worker = {.random = {1, 2}};
static struct h2_session session = {.worker = &worker};
static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};

/* ---- what the files ask of others ---- */

void h2_feed(struct h2_stream *st, int events)
{
    (void)st, (void)events;
}

struct h2_stream *h2_client_of(const struct h2_stream *st)
{
    (void)st;
    return NULL;
}

bool h2_backend_secure(const struct h2_backend *b)
{
    (void)b;
    return true;
}

/* What would be sent. */
static void check_fields(const nghttp2_nv *nv, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert(h2_is_line(nv[i].value, nv[i].valuelen));
        assert(!h2_is_connection_field(nv[i].name, nv[i].namelen) || nv[i].name[0] == 's');
        for (size_t k = 0; k < nv[i].namelen; k++)
            assert(nv[i].name[k] > ' ' && (nv[i].name[k] < 'A' || nv[i].name[k] > 'Z'));
    }
}

static const nghttp2_nv *sent;
static size_t sent_count;

static int32_t send_fields(const nghttp2_nv *nv, size_t count)
{
    check_fields(nv, count);
    sent = nv;
    sent_count = count;
    return 1;
}

int32_t nghttp2_submit_request(nghttp2_session *ng, const nghttp2_priority_spec *priority,
                               const nghttp2_nv *nv, size_t count,
                               const nghttp2_data_provider *provider, void *data)
{
    (void)ng, (void)priority, (void)provider, (void)data;
    return send_fields(nv, count);
}

int nghttp2_submit_response(nghttp2_session *ng, int32_t id, const nghttp2_nv *nv, size_t count,
                            const nghttp2_data_provider *provider)
{
    (void)ng, (void)id, (void)provider;
    return send_fields(nv, count) - 1;
}

int32_t nghttp2_submit_headers(nghttp2_session *ng, uint8_t flags, int32_t id,
                               const nghttp2_priority_spec *priority, const nghttp2_nv *nv,
                               size_t count, void *data)
{
    (void)ng, (void)flags, (void)id, (void)priority, (void)data;
    return send_fields(nv, count);
}

int nghttp2_submit_trailer(nghttp2_session *ng, int32_t id, const nghttp2_nv *nv, size_t count)
{
    (void)ng, (void)id;
    return send_fields(nv, count) - 1;
}

int nghttp2_session_resume_data(nghttp2_session *ng, int32_t id)
{
    (void)ng, (void)id;
    return 0;
}

/* ---- the stream ---- */

typedef bool field_fn(struct h2_stream *, const uint8_t *, size_t, const uint8_t *, size_t);

static bool passes_library(const uint8_t *name, size_t name_len, const uint8_t *value, size_t len)
{
    bool pseudo = name_len && name[0] == ':';
    return (pseudo || nghttp2_check_header_name(name, name_len)) &&
           nghttp2_check_header_value(value, len);
}

/* The fields of the input, as exact copies. False: refused. */
static bool feed(struct h2_stream *st, field_fn *take, const uint8_t *at, const uint8_t *end)
{
    bool good = true;
    while (good && at < end) {
        const uint8_t *stop = memchr(at, '\0', (size_t)(end - at));
        const uint8_t *last = stop ? memchr(stop + 1, '\0', (size_t)(end - stop - 1)) : NULL;
        if (!last)
            break;
        size_t name_len = (size_t)(stop - at), len = (size_t)(last - stop - 1);
        uint8_t *name = malloc(name_len + 1), *value = malloc(len + 1);
        memcpy(name, at, name_len);
        memcpy(value, stop + 1, len);
        if (passes_library(name, name_len, value, len))
            good = take(st, name, name_len, value, len);
        free(name);
        free(value);
        at = last + 1;
    }
    return good;
}

static const nghttp2_nv *find_sent(const char *name)
{
    for (size_t i = 0; i < sent_count; i++)
        if (h2_is(sent[i].name, sent[i].namelen, name))
            return &sent[i];
    return NULL;
}

/* ---- requests ---- */

static void check_forwarded(const struct http1_head *h, const char *text, uint32_t len)
{
    struct h2_stream to = {.session = &session};
    ssize_t n = h2_request_take_head(&to, text, len);
    assert(n == (ssize_t)len);
    const nghttp2_nv *path = find_sent(":path"), *method = find_sent(":method");
    assert(path->valuelen == h->target.len);
    assert(memcmp(path->value, text + h->target.off, h->target.len) == 0);
    assert(method->valuelen == h->method.len);
    assert(!find_sent("host") && !find_sent("transfer-encoding"));
}

static void check_request(struct h2_stream *st, bool end_stream)
{
    static struct http1_head h;
    const char *text = buf_at(st->head);
    uint32_t len = buf_len(st->head);
    http1_head_reset(&h);
    enum http1_result r = http1_parse_request(&h, text, len, &limits);
    assert(r != HTTP1_MORE);
    if (r != HTTP1_DONE)
        return; /* the client is told so */
    assert(h.head_bytes == len);
    if (st->in_body == H2_RAW || h.is_connect)
        return;
    if (st->has_length)
        assert(h.body == (st->in_left ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE));
    else
        assert(h.body == (end_stream ? HTTP1_BODY_NONE : HTTP1_BODY_CHUNKED));
    assert(h.body != HTTP1_BODY_LENGTH || h.content_length == st->in_left);
    check_forwarded(&h, text, len);
}

/* ---- answers ---- */

static void check_answer(struct h2_stream *st, bool end_stream)
{
    static struct http1_head h;
    const char *text = buf_at(st->head);
    uint32_t len = buf_len(st->head);
    http1_head_reset(&h);
    enum http1_result r = http1_parse_response(&h, text, len, &limits, st->is_head, false);
    assert(r != HTTP1_MORE);
    if (r != HTTP1_DONE || h.status < 200)
        return;
    assert(h.head_bytes == len && h.status == st->status);
    assert(h.body != HTTP1_BODY_CLOSE);
    if (end_stream && !st->has_length)
        assert(h.body == HTTP1_BODY_NONE || h.content_length == 0);
    struct h2_stream to = {.session = &session, .is_head = st->is_head};
    ssize_t n = h2_response_take(&to, text, len);
    assert(n == (ssize_t)len);
    assert(find_sent(":status")->valuelen == 3 && !find_sent("transfer-encoding"));
    buf_put(&worker.bufs, to.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct h2_stream st = {.session = &session, .is_head = data[0] & IS_HEAD};
    bool end_stream = data[0] & END_STREAM, answer = data[0] & ANSWER;
    if (feed(&st, answer ? h2_answer_field : h2_request_field, data + 1, data + size)) {
        if (answer && h2_answer_end(&st, end_stream))
            check_answer(&st, end_stream);
        else if (!answer && h2_request_end(&st, end_stream))
            check_request(&st, end_stream);
    }
    buf_put(&worker.bufs, st.head);
    buf_put(&worker.bufs, st.cookie);
    buf_put(&worker.bufs, st.pseudo);
    return 0;
}
