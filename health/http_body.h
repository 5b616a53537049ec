/*
 * health/http_body.h: looks for a text in the body of a response as it arrives, whatever its
 * framing; at most the first 64 KiB of payload. No I/O.
 */
#ifndef BALLAST_HEALTH_HTTP_BODY_H
#define BALLAST_HEALTH_HTTP_BODY_H

#include "base/http1.h"

#define HTTP_BODY_MAX_BYTES 65536u

enum http_body_result {
    HTTP_BODY_MORE,
    HTTP_BODY_FOUND,
    HTTP_BODY_ABSENT,   /* the body has ended */
    HTTP_BODY_TOO_LONG, /* it goes on beyond what is read */
    HTTP_BODY_BAD       /* malformed, or the connection ended before it */
};

struct http_body;

/* wanted must outlive it. NULL: no memory. The caller frees it with free(). */
struct http_body *http_body_new(const struct http1_head *head, const char *wanted) MUST_CHECK;
/* More bytes of the connection behind the head; end: there are no more. */
enum http_body_result http_body_feed(struct http_body *b, const char *data, uint32_t len,
                                     bool end) MUST_CHECK;

#endif
