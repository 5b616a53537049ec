#include "conf/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include "conf/route.h"

/* Dozens of times what an honest pattern needs, a millisecond at worst. */
#define MATCH_STEPS 20000u
#define HEAP_KIB    1024u
#define OPTIONS     (PCRE2_DOLLAR_ENDONLY | PCRE2_DOTALL | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C)

struct regex_set {
    pcre2_match_context *context;
    pcre2_match_data *data;
    uint32_t count;
    pcre2_code *codes[];
};

int regex_check(const char *pattern, uint32_t *groups, uint32_t *offset, char *why, size_t why_cap)
{
    int error = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, OPTIONS, &error, &at, NULL);
    *offset = (uint32_t)at;
    if (!code) {
        PCRE2_UCHAR text[160];
        if (pcre2_get_error_message(error, text, sizeof text) < 0)
            text[0] = '\0';
        snprintf(why, why_cap, "%s", (const char *)text);
        return -1;
    }
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, groups);
    pcre2_code_free(code);
    return 0;
}

static bool compile_all(struct regex_set *s, const struct conf *c)
{
    int error = 0;
    PCRE2_SIZE at = 0;
    s->context = pcre2_match_context_create(NULL);
    s->data = pcre2_match_data_create(REGEX_GROUPS, NULL);
    if (!s->context || !s->data)
        return false;
    pcre2_set_match_limit(s->context, MATCH_STEPS);
    pcre2_set_heap_limit(s->context, HEAP_KIB);
    for (; s->count < c->regex_count; s->count++) {
        s->codes[s->count] = pcre2_compile((PCRE2_SPTR)c->regexes[s->count].pattern,
                                           PCRE2_ZERO_TERMINATED, OPTIONS, &error, &at, NULL);
        if (!s->codes[s->count])
            return false;
        /* where memory cannot be executable it is interpreted instead */
        (void)pcre2_jit_compile(s->codes[s->count], PCRE2_JIT_COMPLETE);
    }
    return true;
}

struct regex_set *regex_set_new(const struct conf *c)
{
    struct regex_set *s = calloc(1, sizeof *s + c->regex_count * sizeof *s->codes);
    if (s && c->regex_count && !compile_all(s, c)) {
        regex_set_free(s);
        s = NULL;
    }
    return s;
}

void regex_set_free(struct regex_set *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        pcre2_code_free(s->codes[i]);
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    free(s);
}

int regex_match(const struct regex_set *s, uint32_t index, const char *subject, uint32_t len,
                const size_t **spans)
{
    int r = pcre2_match(s->codes[index], (PCRE2_SPTR)subject, len, 0, 0, s->data, s->context);
    if (r == PCRE2_ERROR_NOMATCH)
        return 0;
    *spans = pcre2_get_ovector_pointer(s->data);
    if (r == 0) /* more groups than are kept */
        return REGEX_GROUPS;
    return r > 0 ? r : -1;
}
