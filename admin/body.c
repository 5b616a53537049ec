#include "admin/body.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct body_field field_of(const char *name, const json_t *v)
{
    struct body_field f = {.name = name, .type = BODY_OTHER, .text = ""};
    if (json_is_null(v)) {
        f.type = BODY_NULL;
    } else if (json_is_boolean(v)) {
        f.type = BODY_BOOL;
        f.truth = json_is_true(v);
    } else if (json_is_integer(v)) {
        f.type = BODY_INTEGER;
        f.integer = json_integer_value(v);
    } else if (json_is_string(v)) {
        f.type = BODY_STRING;
        f.text = json_string_value(v);
    }
    return f;
}

/* The document is an object: its members become fields. */
static int take_fields(struct body *b, json_t *object, char *why, size_t why_cap)
{
    if (json_object_size(object) > BODY_FIELDS_MAX) {
        snprintf(why, why_cap, "the body has too many members");
        return -1;
    }
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        b->fields[b->count++] = field_of(json_object_iter_key(at), json_object_iter_value(at));
    return 0;
}

int body_parse(struct body *b, const char *text, size_t len_bytes, char *why, size_t why_cap)
{
    json_error_t error;
    json_t *document = json_loadb(text, len_bytes, JSON_REJECT_DUPLICATES, &error);
    b->count = 0;
    b->document = document;
    if (!document) {
        snprintf(why, why_cap, "the body is not valid JSON: %s (line %d, column %d)", error.text,
                 error.line, error.column);
        return -1;
    }
    if (json_is_object(document) && take_fields(b, document, why, why_cap) == 0)
        return 0;
    if (!json_is_object(document))
        snprintf(why, why_cap, "the body must be a JSON object");
    body_free(b);
    return -1;
}

void body_free(struct body *b)
{
    json_decref(b->document);
    b->document = NULL;
    b->count = 0;
}

const struct body_field *body_find(const struct body *b, const char *name)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (strcmp(b->fields[i].name, name) == 0)
            return &b->fields[i];
    return NULL;
}

bool body_strings(const char *text, const char *key, void (*each)(void *arg, const char *s),
                  void *arg)
{
    json_t *document = json_loads(text, 0, NULL);
    const json_t *list = json_is_object(document) ? json_object_get(document, key) : document;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item)
            each(arg, item);
    }
    json_decref(document);
    return document != NULL;
}
