/*
 * base/json.h: a streaming JSON writer (RFC 8259) into a growing buffer. Commas and nesting are
 * kept by the writer; a string's bytes that are not UTF-8 come out as U+FFFD. Input is parsed with
 * jansson, elsewhere.
 */
#ifndef BALLAST_BASE_JSON_H
#define BALLAST_BASE_JSON_H

#include "base/base.h"

struct json {
    char *buf; /* malloc'd, NUL-terminated after json_finish */
    size_t len, cap;
    uint64_t comma; /* bit per depth: a value was written there */
    unsigned depth;
    bool after_key;
};

void json_init(struct json *j);
void json_free(struct json *j);
/* Ends the text and returns it; owned by j until json_free. *len_out may be NULL. */
const char *json_finish(struct json *j, size_t *len_out);

void json_object_begin(struct json *j);
void json_object_end(struct json *j);
void json_array_begin(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key);
/* jansson exports json_string and json_null too and calls them itself; other names at link time
 * keep the two apart. */
void json_string(struct json *j,
                 const char *s) __asm__("json_write_string"); /* NULL becomes null */
void json_string_n(struct json *j, const char *s, size_t len);
void json_uint(struct json *j, uint64_t v);
void json_int(struct json *j, int64_t v);
void json_double(struct json *j, double v); /* shortest of %.6g; NaN and infinities become null */
void json_bool(struct json *j, bool v);
void json_null(struct json *j) __asm__("json_write_null");

/* key + value in one call */
void json_kv_string(struct json *j, const char *key, const char *s);
void json_kv_uint(struct json *j, const char *key, uint64_t v);
void json_kv_double(struct json *j, const char *key, double v);
void json_kv_bool(struct json *j, const char *key, bool v);

#endif
