/*
 * conf/template.h: texts with variables, compiled at load into parts: `{host}` and, where a regular
 * expression was matched, `$1` to `$9`. `{{` is a brace, `$$` a dollar sign.
 */
#ifndef BALLAST_CONF_TEMPLATE_H
#define BALLAST_CONF_TEMPLATE_H

#include "base/arena.h"
#include "base/base.h"

enum template_kind {
    TEMPLATE_TEXT,
    TEMPLATE_SCHEME,
    TEMPLATE_HOST,      /* without port, lower case */
    TEMPLATE_AUTHORITY, /* host and port as sent */
    TEMPLATE_URI,       /* path and query as sent */
    TEMPLATE_PATH,      /* as sent */
    TEMPLATE_QUERY,     /* as sent, without '?' */
    TEMPLATE_TAIL,      /* of the path, behind the prefix of the route */
    TEMPLATE_METHOD,
    TEMPLATE_CLIENT_IP,
    TEMPLATE_REQUEST_ID,
    TEMPLATE_CAPTURE,
    TEMPLATE_KINDS
};

struct template_part {
    uint8_t kind, capture;
    uint32_t len;
    const char *text; /* TEMPLATE_TEXT */
};
struct conf_template {
    struct template_part *parts;
    uint32_t count;
};

/* Which variables a setting may use. */
#define TEMPLATE_IN_URL                                                                            \
    (1u << TEMPLATE_SCHEME | 1u << TEMPLATE_HOST | 1u << TEMPLATE_AUTHORITY | 1u << TEMPLATE_URI | \
     1u << TEMPLATE_PATH | 1u << TEMPLATE_QUERY | 1u << TEMPLATE_TAIL | 1u << TEMPLATE_CAPTURE)
#define TEMPLATE_IN_PATH                                                                           \
    (1u << TEMPLATE_HOST | 1u << TEMPLATE_PATH | 1u << TEMPLATE_TAIL | 1u << TEMPLATE_CAPTURE)
#define TEMPLATE_IN_HEADER                                                                         \
    (1u << TEMPLATE_SCHEME | 1u << TEMPLATE_HOST | 1u << TEMPLATE_AUTHORITY | 1u << TEMPLATE_URI | \
     1u << TEMPLATE_PATH | 1u << TEMPLATE_QUERY | 1u << TEMPLATE_METHOD |                          \
     1u << TEMPLATE_CLIENT_IP | 1u << TEMPLATE_REQUEST_ID)

/* Appends the parts of text. captures: how many there are to refer to. 0, or -1 with a reason. */
int template_parse(struct conf_template *t, struct arena *arena, const char *text, unsigned allowed,
                   unsigned captures, char *why, size_t why_cap) MUST_CHECK;
/* Appends fixed text. */
void template_add_text(struct conf_template *t, struct arena *arena, const char *text, size_t len);
/* Appends another one's parts. */
void template_add(struct conf_template *t, struct arena *arena, const struct conf_template *more);
bool template_is_text(const struct conf_template *t); /* the same for every request */

#endif
