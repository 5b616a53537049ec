/* worker/h2_int.h: what the files of HTTP/2 share. */
#ifndef BALLAST_WORKER_H2_INT_H
#define BALLAST_WORKER_H2_INT_H

#include <nghttp2/nghttp2.h>
#include "worker/h2.h"
#include "worker/h2_backend.h"
#include "worker/link.h"

#define H2_STREAMS_MAX   128u
#define H2_FIELD_BYTES   (BUF_LARGE_BYTES)
#define H2_WINDOW_BYTES  65535u /* of a stream: what a large buffer holds */
#define H2_SESSION_BYTES (1u << 20)
/* A stream with less to send takes more: any buffer has room then. One that says so without room
 * is fed for ever, and nothing else gets its turn. */
#define H2_LOW_BYTES 4096u

enum h2_body { H2_NONE, H2_LENGTH, H2_CHUNKED, H2_RAW };

struct h2_stream {
    struct link link;
    struct h2_session *session;
    struct ev_io *io;    /* of its conn or upstream; NULL: that is gone, the rest is on its way */
    struct conn *conn;   /* a client's stream */
    struct upstream *up; /* a stream to a backend */
    struct h2_stream *prev, *next;
    int32_t id;

    /* the request, as text */
    struct buf *head;                                    /* not yet read by the conn */
    struct buf *cookie;                                  /* its cookies, to be joined */
    struct buf *raw;                                     /* data not yet read by the conn */
    struct buf *tail;                                    /* trailers, as text */
    char *method, *path, *authority, *scheme, *protocol; /* while fields arrive; in pseudo */
    struct buf *pseudo;
    uint8_t in_body; /* enum h2_body */
    bool started;    /* the request line was written */
    bool is_head, has_length, is_connect;
    bool in_end;   /* the client ended its half */
    bool end_read; /* the conn was told */
    bool refused;

    /* the answer */
    struct buf *out;      /* data for the client */
    struct buf *trailers; /* as text */
    struct http1_chunked chunked;
    uint64_t left;
    uint8_t out_body; /* enum h2_body */
    bool head_sent, complete, deferred, ended;

    uint64_t in_left; /* H2_LENGTH: of the body that comes, not yet read by the conn or upstream */

    /* to backends only */
    bool waiting; /* for the connection to be made */
    bool final;   /* the fields of the answer were seen, interim ones aside */
    uint16_t status;
};

struct h2_session {
    struct conn *conn;       /* a client's, or NULL */
    struct h2_backend *back; /* a backend's, or NULL */
    struct worker *worker;
    nghttp2_session *ng;
    struct h2_stream *streams;
    uint32_t count;
    struct ev_prepare flush;     /* fed when something is to be sent; never started */
    struct buf *out;             /* frames not yet taken by the socket */
    uint32_t useless;            /* frames that ask for nothing, less those that do */
    int32_t newest;              /* stream that the client opened */
    int32_t gap_from, gap_below; /* numbers that it passed over last: closed without a use */
    bool goaway, notice, broken;
};

/* Something is to be sent when this iteration's events are through. */
void h2_wake(struct h2_session *s);
/* Streams: h2_stream.c */
struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id) MUST_CHECK;
void h2_stream_free(struct h2_stream *st);
/* The request's head is complete: it is served. False: not with this stream. */
bool h2_stream_serve(struct h2_stream *st) MUST_CHECK;
bool h2_stream_data(struct h2_stream *st, const uint8_t *data, size_t len) MUST_CHECK;
void h2_stream_input_end(struct h2_stream *st);
/* It closed: its conn ends too. */
void h2_stream_closed(struct h2_stream *st);
void h2_feed(struct h2_stream *st, int events);
/* The client's stream that a backend's answers; NULL: no such client. */
struct h2_stream *h2_client_of(const struct h2_stream *st);
/* Requests: h2_request.c. False: malformed, or too long. */
bool h2_request_field(struct h2_stream *st, const uint8_t *name, size_t name_len,
                      const uint8_t *value, size_t value_len) MUST_CHECK;
bool h2_request_end(struct h2_stream *st, bool end_stream) MUST_CHECK;
bool h2_request_trailer(struct h2_stream *st, const uint8_t *name, size_t name_len,
                        const uint8_t *value, size_t value_len) MUST_CHECK;
/* Answers of backends: h2_backend_text.c */
bool h2_answer_field(struct h2_stream *st, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len) MUST_CHECK;
bool h2_answer_end(struct h2_stream *st, bool end_stream) MUST_CHECK;
/* What a content-length says. */
bool h2_take_length(struct h2_stream *st, const uint8_t *value, size_t len) MUST_CHECK;
/* The head of a request to a backend; bytes taken, or -1. */
ssize_t h2_request_take_head(struct h2_stream *st, const char *text, uint32_t len) MUST_CHECK;
/* Where data for the session comes from. */
extern const nghttp2_data_source_read_callback h2_data_reader;
void h2_wake_data(struct h2_stream *st);
/* Shared by both directions of text: h2_text.c */
bool h2_append(struct h2_stream *st, struct buf **to, const void *bytes, size_t len) MUST_CHECK;
bool h2_append_text(struct h2_stream *st, struct buf **to, const char *text) MUST_CHECK;
bool h2_append_field(struct h2_stream *st, struct buf **to, const void *name, size_t name_len,
                     const void *value, size_t value_len) MUST_CHECK;
bool h2_is_connection_field(const uint8_t *name, size_t len);
bool h2_is_line(const uint8_t *s, size_t len);
bool h2_is(const uint8_t *name, size_t len, const char *wanted);
/* One name and value of a block to be sent; names are lowered into a place of their own. */
nghttp2_nv h2_field(char *name, size_t name_len, const char *value, size_t value_len);
char *h2_lower(char **at, const char *name, size_t len);
extern char h2_names[BUF_LARGE_BYTES];
extern nghttp2_nv h2_fields[HTTP1_HEADERS_MAX + 8];
bool h2_is_about_connection(const struct http1_header *f);
/* Where libnghttp2 has its memory from. */
nghttp2_mem *h2_memory(void);
/* Sessions: what both kinds share. */
nghttp2_session_callbacks *h2_callbacks(void);
void h2_session_init(struct h2_session *s, struct worker *w);
void h2_flush(struct h2_session *s);
bool h2_session_feed(struct h2_session *s, struct buf **in) MUST_CHECK;
void h2_session_free(struct h2_session *s);
/* Backends: h2_backend.c: bytes go out and the connection ends. */
ssize_t h2_backend_send(struct h2_backend *b, struct buf *out) MUST_CHECK;
void h2_backend_want(struct h2_backend *b, int events);
/* A stream is freed; the last one frees a connection that is closed. */
void h2_backend_stream_gone(struct h2_backend *b);
const char *h2_backend_name(const struct h2_backend *b);
bool h2_backend_secure(const struct h2_backend *b);

/* Answers: h2_response.c: takes text; bytes taken, or -1 with errno. */
ssize_t h2_response_take(struct h2_stream *st, const char *text, uint32_t len) MUST_CHECK;

#endif
