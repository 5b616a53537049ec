#include "conf/template.h"

#include <stdio.h>
#include <string.h>

static const char *const names[TEMPLATE_KINDS] = {
    [TEMPLATE_SCHEME] = "scheme",       [TEMPLATE_HOST] = "host",
    [TEMPLATE_AUTHORITY] = "authority", [TEMPLATE_URI] = "uri",
    [TEMPLATE_PATH] = "path",           [TEMPLATE_QUERY] = "query",
    [TEMPLATE_TAIL] = "tail",           [TEMPLATE_METHOD] = "method",
    [TEMPLATE_CLIENT_IP] = "client_ip", [TEMPLATE_REQUEST_ID] = "request_id",
};

static struct template_part *grow(struct conf_template *t, struct arena *arena, uint32_t more)
{
    struct template_part *parts = ARENA_ARRAY(arena, struct template_part, t->count + more);
    if (t->parts)
        memcpy(parts, t->parts, t->count * sizeof *parts);
    t->parts = parts;
    t->count += more;
    return parts + t->count - more;
}

void template_add_text(struct conf_template *t, struct arena *arena, const char *text, size_t len)
{
    struct template_part *last = t->count ? &t->parts[t->count - 1] : NULL;
    if (len == 0)
        return;
    if (last && last->kind == TEMPLATE_TEXT) {
        char *joined = arena_alloc(arena, last->len + len + 1);
        memcpy(joined, last->text, last->len);
        memcpy(joined + last->len, text, len);
        last->text = joined;
        last->len += (uint32_t)len;
        return;
    }
    *grow(t, arena, 1) = (struct template_part){
        .kind = TEMPLATE_TEXT, .len = (uint32_t)len, .text = arena_strndup(arena, text, len)};
}

void template_add(struct conf_template *t, struct arena *arena, const struct conf_template *more)
{
    for (uint32_t i = 0; i < more->count; i++) {
        if (more->parts[i].kind == TEMPLATE_TEXT)
            template_add_text(t, arena, more->parts[i].text, more->parts[i].len);
        else
            *grow(t, arena, 1) = more->parts[i];
    }
}

bool template_is_text(const struct conf_template *t)
{
    return t->count == 0 || (t->count == 1 && t->parts[0].kind == TEMPLATE_TEXT);
}

static void list_allowed(unsigned allowed, char *out, size_t cap)
{
    size_t len = 0;
    *out = '\0';
    for (unsigned k = 0; k < TEMPLATE_KINDS && len < cap; k++)
        if (names[k] && allowed & 1u << k)
            len += (size_t)snprintf(out + len, cap - len, "%s{%s}", len ? " " : "", names[k]);
}

/* A "{name}" at text: its length, or 0 with a reason. */
static size_t parse_name(const char *text, unsigned allowed, uint8_t *kind, char *why,
                         size_t why_cap)
{
    char known[160];
    const char *end = strchr(text, '}');
    if (!end) {
        snprintf(why, why_cap, "\"{\" without a \"}\"; write {{ for a brace");
        return 0;
    }
    size_t len = (size_t)(end - text) - 1;
    for (unsigned k = 0; k < TEMPLATE_KINDS; k++) {
        *kind = (uint8_t)k;
        if (names[k] && allowed & 1u << k && strlen(names[k]) == len &&
            memcmp(names[k], text + 1, len) == 0)
            return len + 2;
    }
    list_allowed(allowed, known, sizeof known);
    snprintf(why, why_cap, "\"%.*s\" is not one of: %s", (int)(len < 40 ? len : 40) + 2, text,
             known);
    return 0;
}

/* A "$1" at text. */
static size_t parse_capture(const char *text, unsigned captures, uint8_t *number, char *why,
                            size_t why_cap)
{
    if (text[1] < '1' || text[1] > '9') {
        snprintf(why, why_cap, "\"$\" is followed by neither 1 to 9 nor another $");
        return 0;
    }
    *number = (uint8_t)(text[1] - '0');
    if (*number <= captures)
        return 2;
    if (captures == 0)
        snprintf(why, why_cap, "\"$%u\" needs a path_regex with (groups)", *number);
    else
        snprintf(why, why_cap, "\"$%u\": path_regex has %u group%s", *number, captures,
                 captures == 1 ? "" : "s");
    return 0;
}

int template_parse(struct conf_template *t, struct arena *arena, const char *text, unsigned allowed,
                   unsigned captures, char *why, size_t why_cap)
{
    bool dollars = allowed & 1u << TEMPLATE_CAPTURE;
    while (*text) {
        size_t plain = strcspn(text, dollars ? "{$" : "{");
        template_add_text(t, arena, text, plain);
        text += plain;
        if (*text && text[1] == *text) {
            template_add_text(t, arena, text, 1);
            text += 2;
        } else if (*text) {
            struct template_part part = {.kind = TEMPLATE_CAPTURE};
            size_t len = *text == '{' ? parse_name(text, allowed, &part.kind, why, why_cap)
                                      : parse_capture(text, captures, &part.capture, why, why_cap);
            if (len == 0)
                return -1;
            *grow(t, arena, 1) = part;
            text += len;
        }
    }
    return 0;
}
