/*
 * admin/response.h: what a handler answers. A handler either writes JSON (response_json, then the
 * writer of base/json.h), hands over a text (response_text), refuses (response_problem: RFC 9457),
 * or asks to be finished later (response_wait). The response owns its body until response_free.
 */
#ifndef BALLAST_ADMIN_RESPONSE_H
#define BALLAST_ADMIN_RESPONSE_H

#include "base/base.h"
#include "base/json.h"

enum response_wait {
    RESPONSE_NOW,
    RESPONSE_WAIT_RELOAD, /* finished by the master's answer */
    RESPONSE_WAIT_EVENTS  /* asked again until there is something to say or the time is over */
};

struct response {
    unsigned status;
    const char *content_type; /* static text */
    struct json json;         /* in use when json_open */
    bool json_open;
    char *text;         /* malloc'd, owned; or NULL */
    const char *fixed;  /* not owned; or NULL */
    size_t len_bytes;   /* of text or fixed */
    char headers[1024]; /* further header lines, each with its CRLF */
    size_t headers_len;
    enum response_wait wait;
    uint32_t wait_ms;
    uint64_t since;  /* RESPONSE_WAIT_EVENTS: where to go on when asked again */
    uint32_t ticket; /* RESPONSE_WAIT_RELOAD: which reload will answer */
    bool unsaved;    /* what it changed is not kept in the state file */
    bool close;      /* the connection cannot go on after this */
};

void response_init(struct response *r);
void response_free(struct response *r);

/* Starts a JSON body: the caller writes one value. Ended by response_body. */
struct json *response_json(struct response *r, unsigned status);
/* A body that the response frees. */
void response_text(struct response *r, const char *content_type, char *text, size_t len_bytes);
/* A body that outlives every response. */
void response_fixed(struct response *r, const char *content_type, const char *text,
                    size_t len_bytes);
/* Adds one header line. Values come from us, never from a client unescaped. */
void response_header(struct response *r, const char *name, const char *fmt, ...) PRINTF(3, 4);

/*
 * Refuses: application/problem+json {type, title, status, detail, error}. slug names the kind of
 * problem; it is an anchor of docs/api.md. Replaces whatever was there before.
 */
void response_problem(struct response *r, unsigned status, const char *slug, const char *fmt, ...)
    PRINTF(4, 5);
/* The same, with the object left open for further members; the caller ends it with json_object_end.
 */
struct json *response_problem_open(struct response *r, unsigned status, const char *slug,
                                   const char *detail);

void response_defer(struct response *r, enum response_wait wait, uint32_t wait_ms);

/* The finished body. */
const char *response_body(struct response *r, size_t *len_bytes);

/* Writes the status line and headers. Returns the length, at most cap. */
size_t response_write_head(struct response *r, bool keep_alive, char *out, size_t cap);

#endif
