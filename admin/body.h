/*
 * admin/body.h: JSON that somebody sent, read with jansson (duplicate names refused) into plain
 * fields. The only file that knows jansson, whose names would collide with those of base/json.h.
 */
#ifndef BALLAST_ADMIN_BODY_H
#define BALLAST_ADMIN_BODY_H

#include "base/base.h"

#define BODY_FIELDS_MAX 32u

enum body_type { BODY_NULL, BODY_BOOL, BODY_INTEGER, BODY_STRING, BODY_OTHER };

struct body_field {
    const char *name;
    enum body_type type;
    bool truth;       /* BODY_BOOL */
    int64_t integer;  /* BODY_INTEGER */
    const char *text; /* BODY_STRING, UTF-8 without NUL inside; "" for the others */
};

struct body {
    struct body_field fields[BODY_FIELDS_MAX];
    uint32_t count;
    void *document; /* what the texts live in */
};

/* Reads one JSON object. 0 (then body_free it), or -1 with a sentence in why. */
int body_parse(struct body *b, const char *text, size_t len_bytes, char *why,
               size_t why_cap) MUST_CHECK;
void body_free(struct body *b);
const struct body_field *body_find(const struct body *b, const char *name); /* or NULL */

/* Calls each with the strings of an array: the text itself, or the member `key` of an object.
 * False: text is not JSON. */
bool body_strings(const char *text, const char *key, void (*each)(void *arg, const char *s),
                  void *arg);

#endif
