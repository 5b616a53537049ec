/*
 * base/http1.h: the HTTP/1.x grammar (RFC 9110, RFC 9112), strict, incremental, without I/O and
 * without allocation.
 *
 * A head parser is fed the same growing buffer again and again and resumes where it stopped, so a
 * head that arrives byte by byte costs linear time. A line is judged once its LF is there: the
 * outcome depends on the bytes alone, not on how they were split. Results are offsets into the
 * caller's buffer (the buffer may move between calls; offsets stay right).
 *
 * Body framing is decided here and nowhere else (RFC 9112 section 6); anything ambiguous is
 * refused: both Content-Length and Transfer-Encoding, repeated or malformed Content-Length, a
 * Transfer-Encoding other than a single "chunked", obs-fold, bare LF, bare CR, NUL and other
 * control bytes, white space before a colon, empty names, a request without exactly one valid Host
 * in HTTP/1.1, fragments and bytes outside VCHAR in the target.
 *
 * Used by workers (both sides), health (responses) and admin (requests).
 */
#ifndef BALLAST_BASE_HTTP1_H
#define BALLAST_BASE_HTTP1_H

#include "base/base.h"

#define HTTP1_HEADERS_MAX 256 /* capacity; a listener's limits.headers is at most this */

struct http1_span {
    uint32_t off, len;
};

/* Header fields that the data path treats itself; everything else is HTTP1_H_OTHER. */
enum http1_header_id {
    HTTP1_H_OTHER,
    HTTP1_H_HOST,
    HTTP1_H_CONNECTION,
    HTTP1_H_CONTENT_LENGTH,
    HTTP1_H_TRANSFER_ENCODING,
    HTTP1_H_TE,
    HTTP1_H_TRAILER,
    HTTP1_H_UPGRADE,
    HTTP1_H_KEEP_ALIVE,
    HTTP1_H_PROXY_CONNECTION,
    HTTP1_H_PROXY_AUTHENTICATE,
    HTTP1_H_PROXY_AUTHORIZATION,
    HTTP1_H_EXPECT,
    HTTP1_H_X_FORWARDED_FOR,
    HTTP1_H_X_FORWARDED_PROTO,
    HTTP1_H_X_FORWARDED_HOST,
    HTTP1_H_X_REAL_IP,
    HTTP1_H_X_REQUEST_ID,
    HTTP1_H_ACCEPT,
    HTTP1_H_ACCEPT_ENCODING,
    HTTP1_H_AUTHORIZATION,
    HTTP1_H_COOKIE,
    HTTP1_H_SET_COOKIE,
    HTTP1_H_DATE,
    HTTP1_H_SERVER,
    HTTP1_H_USER_AGENT,
    HTTP1_H_REFERER,
    HTTP1_H_ORIGIN,
    HTTP1_H_LOCATION,
    HTTP1_H_VIA,
    HTTP1_H_CACHE_CONTROL,
    HTTP1_H_FORWARDED,
    HTTP1_H_COUNT
};

struct http1_header {
    struct http1_span name;  /* as sent */
    struct http1_span value; /* optional white space trimmed at both ends */
    uint8_t id;              /* enum http1_header_id */
    /*
     * Hop-by-hop: one of RFC 9110 7.6.1's own, or named by Connection; but never a field that
     * framing, routing or the client's identity rest on: Host, Content-Length, X-Forwarded-*,
     * X-Real-IP, X-Request-ID.
     */
    bool hop;
};

enum http1_body {
    HTTP1_BODY_NONE,    /* also with "Content-Length: 0" */
    HTTP1_BODY_LENGTH,  /* content_length bytes follow, at least one */
    HTTP1_BODY_CHUNKED, /* read with struct http1_chunked */
    HTTP1_BODY_CLOSE    /* responses only: until the connection closes */
};

enum http1_result { HTTP1_MORE, HTTP1_DONE, HTTP1_ERROR };

/* Limits of one head. header_size counts from the first byte to the empty line, both included. */
struct http1_limits {
    uint32_t head_bytes;
    uint32_t headers; /* at most HTTP1_HEADERS_MAX */
};

struct http1_head {
    /* results, valid after HTTP1_DONE; on HTTP1_ERROR status and error say why */
    struct http1_span method, target; /* requests */
    /*
     * Of the target in origin-form or absolute-form; the query without '?' (len 0: none). The path
     * is empty for "*", for CONNECT and for an absolute-form without one, which means "/" (RFC
     * 9110 4.2.3).
     */
    struct http1_span path, query;
    /* Host field, or that of an absolute-form or CONNECT target, which wins (RFC 9112 3.2.2) */
    struct http1_span authority;
    struct http1_span reason; /* responses */
    /*
     * Responses: 100..999, on HTTP1_ERROR 502. Requests, on HTTP1_ERROR: the status to answer (400;
     * 414 start line beyond the limit; 431 head too large or too many fields; 501 coding not
     * implemented).
     */
    uint16_t status;
    uint8_t minor;   /* 0 or 1; HTTP/1.2 and later 1.x count as 1 */
    uint8_t body;    /* enum http1_body */
    bool keep_alive; /* another message may follow: the sender says so and the end can be told */
    bool upgrade;    /* Upgrade present and named by Connection */
    bool expect_continue;
    bool absolute_form;
    bool is_head, is_get, is_connect; /* by method */
    bool idempotent;                  /* GET HEAD OPTIONS TRACE PUT DELETE (RFC 9110 9.2.2) */
    uint64_t content_length;
    uint32_t head_bytes;       /* length of the whole head, empty line included */
    uint32_t first_line_bytes; /* length of the start line with its CRLF */
    uint16_t count;
    const char *error; /* static text */
    uint64_t present;  /* bit (1 << id) for each known header id seen */
    /* parser state */
    uint32_t scanned;
    uint32_t line_start;
    uint16_t refusal; /* becomes status on HTTP1_ERROR */
    uint8_t state;
    uint8_t connection; /* what Connection said */
    struct http1_header headers[HTTP1_HEADERS_MAX];
};

/* Prepares for a new message. Cheap: does not touch headers[]. */
void http1_head_reset(struct http1_head *h);

/*
 * Parses a request head at buf[0..len). One leading empty line (CRLF) is tolerated as RFC 9112 2.2
 * says and counted in head_bytes; the start line begins at method.off. HTTP1_MORE: call again with
 * more bytes after the same prefix; with limits->head_bytes of them there is always a verdict,
 * which is kept until http1_head_reset().
 */
enum http1_result http1_parse_request(struct http1_head *h, const char *buf, uint32_t len,
                                      const struct http1_limits *limits) MUST_CHECK;
/*
 * Parses a response head. The request's method decides about the body: is_head and is_connect say
 * it was HEAD or CONNECT. 1xx, 204 and 304 have no body; 2xx to CONNECT begins a tunnel
 * (HTTP1_BODY_NONE). An interim (1xx) response is returned like any other: reset and parse on
 * behind head_bytes. A status line without a reason phrase is accepted, with or without its space.
 */
enum http1_result http1_parse_response(struct http1_head *h, const char *buf, uint32_t len,
                                       const struct http1_limits *limits, bool is_head,
                                       bool is_connect) MUST_CHECK;

/* First header with this id, or NULL. */
const struct http1_header *http1_find(const struct http1_head *h, enum http1_header_id id);
/* First header of this name (any case), or NULL. */
const struct http1_header *http1_find_name(const struct http1_head *h, const char *buf,
                                           const char *name, size_t name_len);
const char *http1_reason(unsigned status); /* "Not Found"; "Unknown" for what has no name */
bool http1_is_token(const char *s, size_t len);
/* The enum http1_header_id of a name made of token bytes. */
uint8_t http1_name_id(const char *name, size_t len);

/*
 * Chunked transfer coding (RFC 9112 7.1), strict: hexadecimal size without sign, prefix or padding,
 * CRLF only, extensions of valid grammar, trailers checked like header fields and without Host,
 * Content-Length and Transfer-Encoding. It does not copy: it
 * walks buf and says how many bytes belong to the message and where payload lies.
 */
struct http1_chunked {
    uint64_t left;         /* payload bytes left in the current chunk */
    uint64_t trailer_name; /* hash of the trailer field's name so far */
    uint32_t line_bytes;
    uint8_t state;
    uint8_t digits;
    bool trailing;         /* the last chunk was seen */
    uint32_t trailers_off; /* where trailers begin in the bytes of the last call, while trailing */
};
void http1_chunked_reset(struct http1_chunked *c);
/*
 * Consumes bytes up to the end of the buffer, the end of the message, or the end of one payload
 * run, whichever is first. *consumed: bytes of buf that were framing or payload of this message.
 * *payload: the run of payload inside them (off within buf, len may be 0); at most one run per
 * call, so call again with the rest until HTTP1_MORE consumes nothing. HTTP1_DONE: the last byte of
 * the message (after trailers) is buf[*consumed - 1]. HTTP1_ERROR: malformed, nothing of this call
 * may be forwarded. A chunk-size line is at most 4096 bytes with its extensions, trailers at most
 * 16 KiB.
 */
enum http1_result http1_chunked_step(struct http1_chunked *c, const char *buf, uint32_t len,
                                     uint32_t *consumed, struct http1_span *payload) MUST_CHECK;

#endif
