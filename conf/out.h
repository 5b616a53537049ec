/*
 * conf/out.h: where values are written to: libconfig text or JSON, through the same calls. A key is
 * NULL for an element.
 */
#ifndef BALLAST_CONF_OUT_H
#define BALLAST_CONF_OUT_H

#include "base/json.h"
#include "conf/conf.h"

struct out {
    const struct conf *conf; /* for indexes into it */
    bool is_json;
    unsigned kind; /* of the listener being written: rows that mean nothing there are left out */
    struct json json;
    char *buf; /* text; malloc'd, NUL-terminated */
    size_t len_bytes, cap_bytes;
    unsigned depth;
    unsigned flat; /* nesting written on one line */
    bool first;    /* nothing was written in the innermost list yet */
};

void out_init(struct out *o, const struct conf *conf, bool is_json);
/* Ends it and returns what was written; malloc'd. */
char *out_finish(struct out *o) MUST_CHECK;
void out_free(struct out *o);
/* Forgets what was written (text only). */
void out_reset(struct out *o);

void out_group(struct out *o, const char *key);
void out_group_end(struct out *o);
void out_list(struct out *o, const char *key); /* of groups */
void out_list_end(struct out *o);
void out_flat_list(struct out *o, const char *key); /* of anything, on one line */
void out_flat_list_end(struct out *o);
void out_array(struct out *o, const char *key); /* of strings */
void out_array_end(struct out *o);
void out_tuple(struct out *o, const char *key); /* of anything, on one line */
void out_tuple_end(struct out *o);
void out_string(struct out *o, const char *key, const char *value);
void out_number(struct out *o, const char *key, uint64_t value);
void out_factor(struct out *o, const char *key, uint64_t milli); /* 1250: 1.25 */
void out_bool(struct out *o, const char *key, bool value);
/* As it is. */
void out_text(struct out *o, const char *fmt, ...) PRINTF(2, 3);

#endif
