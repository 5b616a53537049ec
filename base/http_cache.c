/* base/http_cache.c: see base/http_cache.h. */
#include "base/http_cache.h"

#include <string.h>
#include <strings.h>

/* ---- Cache-Control ---- */

void http_cache_control_init(struct http_cache_control *c)
{
    *c = (struct http_cache_control){.max_age = HTTP_CACHE_NONE,
                                     .s_maxage = HTTP_CACHE_NONE,
                                     .min_fresh = HTTP_CACHE_NONE,
                                     .max_stale = HTTP_CACHE_NONE,
                                     .while_revalidate = HTTP_CACHE_NONE,
                                     .if_error = HTTP_CACHE_NONE};
}

struct text {
    const char *at;
    size_t len;
};

static bool text_is(struct text t, const char *name)
{
    return t.len == strlen(name) && strncasecmp(t.at, name, t.len) == 0;
}

static struct text trim(struct text t)
{
    while (t.len && (*t.at == ' ' || *t.at == '\t')) {
        t.at++;
        t.len--;
    }
    while (t.len && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* RFC 9111 1.2.2; also as a quoted string. What is no number counts as 0. */
static uint32_t seconds_of(struct text t)
{
    uint64_t n = 0;
    if (t.len >= 2 && t.at[0] == '"' && t.at[t.len - 1] == '"')
        t = (struct text){t.at + 1, t.len - 2};
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return 0;
        n = n * 10 + (uint64_t)(t.at[i] - '0');
        if (n > HTTP_CACHE_MOST)
            n = HTTP_CACHE_MOST;
    }
    return (uint32_t)n;
}

/* Said twice: the shorter (RFC 9111 4.2.1). */
static void set_least(uint32_t *at, struct text value)
{
    uint32_t s = seconds_of(value);
    if (*at == HTTP_CACHE_NONE || s < *at)
        *at = s;
}

static void add_flag(struct http_cache_control *c, struct text name)
{
    c->no_store |= text_is(name, "no-store");
    c->no_cache |= text_is(name, "no-cache");
    c->private_ |= text_is(name, "private");
    c->public_ |= text_is(name, "public");
    c->must_revalidate |= text_is(name, "must-revalidate") || text_is(name, "proxy-revalidate");
    c->must_understand |= text_is(name, "must-understand");
    c->only_if_cached |= text_is(name, "only-if-cached");
}

static void add_directive(struct http_cache_control *c, struct text name, struct text value)
{
    add_flag(c, name);
    if (text_is(name, "max-age"))
        set_least(&c->max_age, value);
    else if (text_is(name, "s-maxage"))
        set_least(&c->s_maxage, value);
    else if (text_is(name, "min-fresh"))
        set_least(&c->min_fresh, value);
    else if (text_is(name, "max-stale"))
        c->max_stale = value.len ? seconds_of(value) : HTTP_CACHE_MOST;
    else if (text_is(name, "stale-while-revalidate"))
        set_least(&c->while_revalidate, value);
    else if (text_is(name, "stale-if-error"))
        set_least(&c->if_error, value);
}

/* Up to the next `stop` outside quotes, or all; *quoted: a quotation did not end. */
static size_t scan(const char *s, size_t len, char stop, bool *quoted)
{
    *quoted = false;
    for (size_t i = 0; i < len; i++) {
        if (*quoted && s[i] == '\\')
            i++;
        else if (s[i] == '"')
            *quoted = !*quoted;
        else if (s[i] == stop && !*quoted)
            return i;
    }
    return len;
}

static size_t member_len(const char *s, size_t len)
{
    bool quoted;
    return scan(s, len, ',', &quoted);
}

/* A quotation that does not end may hide anything. */
static bool ends_quoted(const char *s, size_t len)
{
    bool quoted;
    (void)scan(s, len, '\0', &quoted); /* no field has a NUL */
    return quoted;
}

void http_cache_control_add(struct http_cache_control *c, const char *value, size_t len)
{
    c->no_store |= memchr(value, '"', len) && ends_quoted(value, len);
    while (len) {
        size_t n = member_len(value, len);
        const char *equals = memchr(value, '=', n);
        size_t name = equals ? (size_t)(equals - value) : n;
        struct text argument = equals ? (struct text){equals + 1, n - name - 1} : (struct text){0};
        add_directive(c, trim((struct text){value, name}), trim(argument));
        n += n < len;
        value += n;
        len -= n;
    }
}

/* ---- responses ---- */

/* Final statuses whose meaning is known here, but for 206 and 304, which are parts of others. */
static bool is_understood(unsigned status)
{
    static const uint16_t known[] = {200, 203, 204, 300, 301, 302, 303,
                                     307, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i] == status)
            return true;
    return false;
}

/* RFC 9111 3 and 3.5. */
static bool may_store(const struct http_cache_facts *f)
{
    const struct http_cache_control *c = &f->control;
    bool understood = is_understood(f->status);
    if (f->status < 200 || f->status == 206 || f->status == 304 ||
        (!understood && f->valid_s == HTTP_CACHE_NONE))
        return false;
    if (f->request_no_store || c->private_ || f->sets_cookie || f->vary_any ||
        (c->no_store && !(c->must_understand && understood)))
        return false;
    return !f->authorized || c->public_ || c->must_revalidate || c->s_maxage != HTTP_CACHE_NONE;
}

/* RFC 9111 4.2.1; HTTP_CACHE_NONE: it does not say. */
static uint32_t lifetime(const struct http_cache_facts *f)
{
    const struct http_cache_control *c = &f->control;
    if (c->no_cache)
        return 0;
    if (c->s_maxage != HTTP_CACHE_NONE)
        return c->s_maxage;
    if (c->max_age != HTTP_CACHE_NONE)
        return c->max_age;
    if (!f->has_expires)
        return f->valid_s;
    int64_t s = f->expires_s - (f->has_date ? f->date_s : f->now_s);
    return s <= 0 ? 0 : s > HTTP_CACHE_MOST ? HTTP_CACHE_MOST : (uint32_t)s;
}

/* RFC 9111 4.2.3: the age when it came. */
static uint32_t initial_age(const struct http_cache_facts *f)
{
    int64_t apparent = f->has_date && f->now_s > f->date_s ? f->now_s - f->date_s : 0;
    int64_t corrected = (int64_t)f->age_s + f->delay_s;
    int64_t age = apparent > corrected ? apparent : corrected;
    return age > HTTP_CACHE_MOST ? HTTP_CACHE_MOST : (uint32_t)age;
}

void http_cache_judge(const struct http_cache_facts *f, struct http_cache_verdict *v)
{
    const struct http_cache_control *c = &f->control;
    uint32_t fresh = lifetime(f);
    *v = (struct http_cache_verdict){.age_s = initial_age(f), .fresh_s = fresh};
    v->must_revalidate = c->must_revalidate || c->no_cache || c->s_maxage != HTTP_CACHE_NONE;
    if (!v->must_revalidate) {
        bool own = c->while_revalidate != HTTP_CACHE_NONE;
        v->while_revalidate = own ? c->while_revalidate : f->while_revalidate;
        v->if_error = c->if_error != HTTP_CACHE_NONE ? c->if_error : f->if_error;
    }
    /* stale from the start is worth keeping when it can be asked about, or stand in */
    bool useful = fresh > v->age_s || f->has_validator || v->while_revalidate || v->if_error;
    v->store = may_store(f) && fresh != HTTP_CACHE_NONE && useful;
}

/* ---- requests ---- */

bool http_cache_fresh_for(const struct http_cache_control *r, uint64_t age, uint64_t fresh,
                          bool must_revalidate)
{
    if (r->no_cache)
        return false;
    if (r->max_age != HTTP_CACHE_NONE && (age > r->max_age || r->max_age == 0))
        return false;
    if (r->min_fresh != HTTP_CACHE_NONE)
        return age + r->min_fresh < fresh;
    if (age < fresh)
        return true;
    return !must_revalidate && r->max_stale != HTTP_CACHE_NONE && age - fresh < r->max_stale;
}

static struct text without_weak(struct text t)
{
    if (t.len > 2 && t.at[0] == 'W' && t.at[1] == '/')
        return (struct text){t.at + 2, t.len - 2};
    return t;
}

bool http_cache_etag_matches(const char *list, size_t list_len, const char *etag, size_t len)
{
    struct text wanted = without_weak((struct text){etag, len});
    while (list_len) {
        size_t n = member_len(list, list_len);
        struct text one = without_weak(trim((struct text){list, n}));
        if ((one.len == 1 && *one.at == '*') ||
            (wanted.len && one.len == wanted.len && memcmp(one.at, wanted.at, one.len) == 0))
            return true;
        n += n < list_len;
        list += n;
        list_len -= n;
    }
    return false;
}

bool http_cache_each_name(const char *list, size_t len,
                          bool (*each)(void *arg, const char *name, size_t len), void *arg)
{
    while (len) {
        size_t n = member_len(list, len);
        struct text one = trim((struct text){list, n});
        if (one.len && !each(arg, one.at, one.len))
            return false;
        n += n < len;
        list += n;
        len -= n;
    }
    return true;
}

/* ---- ranges ---- */

/* Digits up to the end of t; false: none, or too many. */
static bool read_position(struct text t, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9' || i >= 18)
            return false;
        *out = *out * 10 + (uint64_t)(t.at[i] - '0');
    }
    return t.len > 0;
}

/* The last bytes of it: "-500". */
static enum http_cache_range suffix(uint64_t wanted, uint64_t body, uint64_t *first,
                                    uint64_t *count)
{
    if (wanted == 0 || body == 0)
        return HTTP_RANGE_OUTSIDE;
    *count = wanted < body ? wanted : body;
    *first = body - *count;
    return HTTP_RANGE_OK;
}

/* Several ranges, other units and what is malformed are ignored, as RFC 9110 14.2 allows. */
enum http_cache_range http_cache_range(const char *value, size_t len, uint64_t body,
                                       uint64_t *first, uint64_t *count)
{
    uint64_t from, to;
    if (len < 6 || strncasecmp(value, "bytes=", 6) != 0)
        return HTTP_RANGE_IGNORE;
    struct text spec = trim((struct text){value + 6, len - 6});
    const char *dash = memchr(spec.at, '-', spec.len);
    if (!dash)
        return HTTP_RANGE_IGNORE;
    size_t left = (size_t)(dash - spec.at);
    struct text tail = {dash + 1, spec.len - left - 1};
    if (left == 0)
        return read_position(tail, &to) ? suffix(to, body, first, count) : HTTP_RANGE_IGNORE;
    if (!read_position((struct text){spec.at, left}, &from) ||
        (tail.len && (!read_position(tail, &to) || to < from)))
        return HTTP_RANGE_IGNORE;
    if (from >= body)
        return HTTP_RANGE_OUTSIDE;
    if (!tail.len || to >= body)
        to = body - 1;
    *first = from;
    *count = to - from + 1;
    return HTTP_RANGE_OK;
}
