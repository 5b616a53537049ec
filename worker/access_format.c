/* worker/access_format.c */
#include "worker/access_format.h"

#include <endian.h>
#include <string.h>
#include <time.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include "base/digits.h"

/* How much of the line a value may take, escaped. All together they leave room for what is fixed.
 */
#define TARGET_CAP 1200u
#define AGENT_CAP  450u /* and the referer */
#define HOST_CAP   280u
#define ID_CAP     160u /* of the request, of the trace */
#define NAME_CAP   90u  /* four with the head, four at the end */
#define HEAD_FIXED 160u /* keys, for JSON */
#define FIXED      600u /* all keys, and numbers */
_Static_assert(TARGET_CAP + 2 * AGENT_CAP + HOST_CAP + ID_CAP + 4 * NAME_CAP + HEAD_FIXED <=
                   ACCESS_HEAD_BYTES,
               "what is known with the head fits");
_Static_assert(TARGET_CAP + 2 * AGENT_CAP + HOST_CAP + 2 * ID_CAP + 8 * NAME_CAP + FIXED <=
                   ACCESS_LINE_BYTES,
               "a line fits");

struct line {
    char *at;
};

static inline void put(struct line *o, const char *text, size_t len)
{
    memcpy(o->at, text, len);
    o->at += len;
}

#define PUT(o, literal) put((o), literal, sizeof(literal) - 1)

static inline void put_uint(struct line *o, uint64_t v)
{
    o->at = digits_uint(o->at, v);
}

/* Microseconds as milliseconds. */
static void put_ms(struct line *o, uint64_t us)
{
    put_uint(o, us / 1000);
    *o->at++ = '.';
    digits_three(o->at, (uint32_t)(us % 1000));
    o->at += 3;
}

/* ---- escaping ---- */

/* Length of the UTF-8 sequence at s, 0: it is none (RFC 3629: no overlong forms, no surrogates). */
static uint32_t utf8_len(const unsigned char *s, uint32_t left)
{
    uint32_t len = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > left)
        return 0;
    for (uint32_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* One byte that cannot stand as it is. */
static void put_json_byte(struct line *o, unsigned char c)
{
    if (c == '"' || c == '\\') {
        char two[2] = {'\\', (char)c};
        put(o, two, sizeof two);
        return;
    }
    char digits[8];
    uint64_t all = digits_of_word(c);
    memcpy(digits, &all, sizeof digits);
    PUT(o, "\\u");
    put(o, digits + 4, 4);
}

static void put_plain_byte(struct line *o, unsigned char c)
{
    char digits[8];
    uint64_t all = digits_of_word(c);
    memcpy(digits, &all, sizeof digits);
    PUT(o, "\\x");
    put(o, digits + 6, 2);
}

/* ---- bytes that stand as they are, in all formats: visible ASCII and the space, but for " and
 * \ */

/* Sets the high bit of each byte of eight that does not; those above the first may be wrong. */
static inline uint64_t odd_of_8(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = x ^ ones * '"', slash = x ^ ones * '\\', last = x ^ ones * 0x7f;
    uint64_t low = x - ones * ' ';
    return (((low | (quote - ones) | (slash - ones) | (last - ones)) & ~x) | x) & highs;
}

/* Copies eight bytes; returns how many of them are before the first that does not stand. */
static inline uint32_t copy_8(char *to, const char *from)
{
    uint64_t x;
    memcpy(&x, from, sizeof x);
    memcpy(to, &x, sizeof x);
    uint64_t odd = odd_of_8(le64toh(x));
    return odd ? (uint32_t)__builtin_ctzll(odd) / 8 : 8;
}

/* The same with sixteen. */
static inline uint32_t copy_16(char *to, const char *from)
{
#ifdef __SSE2__
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)from);
    _mm_storeu_si128((__m128i *)(void *)to, v);
    /* signed: what is not ASCII is below a space as well */
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(' '));
    __m128i marks =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    __m128i last = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    int odd = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(low, marks), last));
    return odd ? (uint32_t)__builtin_ctz((unsigned)odd) : 16;
#else
    uint32_t n = copy_8(to, from);
    return n < 8 ? n : 8 + copy_8(to + 8, from + 8);
#endif
}

static const bool plain[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

/* Fewer than sixteen. */
static inline uint32_t copy_few(char *to, const char *from, uint32_t len)
{
    uint32_t n = 0;
    if (len >= 8) { /* the two may overlap: what the first let pass, the second does as well */
        n = copy_8(to, from);
        return n < 8 ? n : len - 8 + copy_8(to + len - 8, from + len - 8);
    }
    for (; n < len && plain[(unsigned char)from[n]]; n++)
        to[n] = from[n];
    return n;
}

/* Copies what stands as it is and returns its length; up to len bytes are written. */
static inline uint32_t copy_plain(char *to, const char *from, uint32_t len)
{
    uint32_t n = 0, got = 16;
    if (len < 16)
        return copy_few(to, from, len);
    for (; len - n >= 16 && got == 16; n += got)
        got = copy_16(to + n, from + n);
    return n == len || got < 16 ? n : len - 16 + copy_16(to + len - 16, from + len - 16);
}

/* Puts at most cap bytes of what does not all stand as it is. */
static void put_odd(struct line *o, struct access_text t, const char *end, bool json)
{
    while (t.len) {
        uint32_t left = (uint32_t)(end - o->at);
        uint32_t n = copy_plain(o->at, t.at, t.len < left ? t.len : left);
        o->at += n;
        t.at += n;
        t.len -= n;
        if (t.len == 0 || end - o->at < 6)
            return;
        uint32_t len = json ? utf8_len((const unsigned char *)t.at, t.len) : 0;
        if (len)
            put(o, t.at, len);
        else if (json)
            put_json_byte(o, (unsigned char)*t.at);
        else
            put_plain_byte(o, (unsigned char)*t.at);
        t.at += len ? len : 1;
        t.len -= len ? len : 1;
    }
}

/* Puts at most cap bytes. */
static inline void put_escaped(struct line *o, struct access_text t, uint32_t cap, bool json)
{
    const char *end = o->at + cap;
    uint32_t n = copy_plain(o->at, t.at, t.len < cap ? t.len : cap);
    o->at += n;
    if (UNLIKELY(n < t.len))
        put_odd(o, (struct access_text){t.at + n, t.len - n}, end, json);
}

/* Two copies that may overlap. */
#define COPY_ENDS(to, from, len, half)                                                             \
    (memcpy((to), (from), (half)), memcpy((to) + (len) - (half), (from) + (len) - (half), (half)))

/* Nothing in it is to be escaped, and most are short. */
static inline void put_word(struct line *o, struct access_text t, uint32_t cap)
{
    uint32_t len = t.len < cap ? t.len : cap;
    if (len > 32 || len < 4)
        memcpy(o->at, t.at, len);
    else if (len > 16)
        COPY_ENDS(o->at, t.at, len, 16);
    else if (len >= 8)
        COPY_ENDS(o->at, t.at, len, 8);
    else
        COPY_ENDS(o->at, t.at, len, 4);
    o->at += len;
}

/* ---- JSON ---- */

static void json_string(struct line *o, struct access_text t, uint32_t cap)
{
    *o->at++ = '"';
    put_escaped(o, t, cap, true);
    *o->at++ = '"';
}

static inline void json_text(struct line *o, struct access_text t, uint32_t cap)
{
    if (t.at)
        json_string(o, t, cap);
    else
        PUT(o, "null");
}

static inline void json_word(struct line *o, struct access_text t, uint32_t cap)
{
    if (!t.at) {
        PUT(o, "null");
        return;
    }
    *o->at++ = '"';
    put_word(o, t, cap);
    *o->at++ = '"';
}

static void json_ms(struct line *o, uint64_t us)
{
    if (us == UINT64_MAX)
        PUT(o, "null");
    else
        put_ms(o, us);
}

#define KEY(o, name) PUT((o), ",\"" name "\":")

static void json_front(struct line *o, const struct access_head *h)
{
    PUT(o, "\",\"request_id\":");
    if (h->own_id)
        json_word(o, h->request_id, ID_CAP);
    else
        json_text(o, h->request_id, ID_CAP);
    KEY(o, "client");
    json_word(o, h->client, NAME_CAP);
    KEY(o, "listener");
    json_word(o, h->listener, NAME_CAP);
    KEY(o, "method");
    json_word(o, h->method, NAME_CAP);
    KEY(o, "host");
    json_word(o, h->host, HOST_CAP);
    KEY(o, "path");
    json_text(o, h->target, TARGET_CAP);
    KEY(o, "protocol");
    json_word(o, h->protocol, NAME_CAP);
}

static void json_back(struct line *o, const struct access_head *h)
{
    KEY(o, "user_agent");
    json_text(o, h->user_agent, AGENT_CAP);
    KEY(o, "referer");
    json_text(o, h->referer, AGENT_CAP);
}

static const struct tm *broken_down(uint64_t wall_ms, time_t *cached, struct tm *tm)
{
    time_t now = (time_t)(wall_ms / 1000);
    if (now != *cached && gmtime_r(&now, tm))
        *cached = now;
    return tm;
}

/* "2026-01-31T12:34:56.789Z"; all but the milliseconds is made once per second. */
static void put_rfc3339(struct line *o, uint64_t wall_ms)
{
    static time_t cached = -1;
    static struct tm tm;
    static char text[32];
    static size_t len;
    time_t before = cached;
    const struct tm *now = broken_down(wall_ms, &cached, &tm);
    if (before != cached)
        len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", now);
    memcpy(o->at, text, sizeof text);
    o->at += len;
    digits_three(o->at, (uint32_t)(wall_ms % 1000));
    o->at[3] = 'Z';
    o->at += 4;
}

static void format_json(struct line *o, const struct access_parts *p, const struct access_line *l)
{
    PUT(o, "{\"time\":\"");
    put_rfc3339(o, l->wall_ms);
    put(o, p->text, p->len[ACCESS_FRONT]);
    KEY(o, "status");
    put_uint(o, l->status);
    KEY(o, "bytes_in");
    put_uint(o, l->bytes_in);
    KEY(o, "bytes_out");
    put_uint(o, l->bytes_out);
    KEY(o, "duration_ms");
    json_ms(o, l->duration_us);
    KEY(o, "pool");
    json_word(o, l->pool, NAME_CAP);
    KEY(o, "backend");
    json_text(o, l->backend, NAME_CAP);
    KEY(o, "backend_ms");
    json_ms(o, l->backend_us);
    KEY(o, "attempts");
    put_uint(o, l->attempts);
    KEY(o, "termination");
    json_word(o, l->termination, NAME_CAP);
    KEY(o, "tls");
    json_word(o, l->tls, NAME_CAP);
    put(o, p->text + p->len[ACCESS_FRONT], p->len[ACCESS_BACK]);
    if (l->trace_id.at) {
        KEY(o, "trace_id");
        json_text(o, l->trace_id, ID_CAP);
    }
    PUT(o, "}\n");
}

/* ---- combined, common ---- */

static void put_or_dash(struct line *o, struct access_text t, uint32_t cap)
{
    if (t.len)
        put_escaped(o, t, cap, false);
    else
        PUT(o, "-");
}

static void common_request(struct line *o, const struct access_head *h)
{
    PUT(o, " \"");
    if (!h->method.len) {
        PUT(o, "-");
    } else {
        put_word(o, h->method, NAME_CAP);
        PUT(o, " ");
        put_escaped(o, h->target, TARGET_CAP, false);
        PUT(o, " ");
        put_word(o, h->protocol, NAME_CAP);
    }
    PUT(o, "\" ");
}

static void combined_back(struct line *o, const struct access_head *h)
{
    PUT(o, " \"");
    put_or_dash(o, h->referer, AGENT_CAP);
    PUT(o, "\" \"");
    put_or_dash(o, h->user_agent, AGENT_CAP);
    PUT(o, "\"");
}

static void put_common_time(struct line *o, uint64_t wall_ms)
{
    static time_t cached = -1;
    static struct tm tm;
    static char text[40];
    time_t before = cached;
    const struct tm *now = broken_down(wall_ms, &cached, &tm);
    if (before != cached) /* no process here sets a locale: the names are English */
        (void)strftime(text, sizeof text, "[%d/%b/%Y:%H:%M:%S +0000]", now);
    put(o, text, strlen(text));
}

static void format_common(struct line *o, const struct access_parts *p, const struct access_line *l)
{
    const char *request = p->text + p->len[ACCESS_FRONT];
    put(o, p->text, p->len[ACCESS_FRONT]);
    put_common_time(o, l->wall_ms);
    put(o, request, p->len[ACCESS_REQUEST]);
    if (l->status)
        put_uint(o, l->status);
    else
        PUT(o, "-");
    PUT(o, " ");
    put_uint(o, l->bytes_out);
    put(o, request + p->len[ACCESS_REQUEST], p->len[ACCESS_BACK]);
    PUT(o, "\n");
}

/* ---- both ---- */

static uint16_t close_part(const struct line *o, const char **from)
{
    uint16_t len = (uint16_t)(o->at - *from);
    *from = o->at;
    return len;
}

void access_format_head(enum conf_access_format format, const struct access_head *h,
                        struct access_parts *p)
{
    struct line o = {p->text};
    const char *from = p->text;
    p->format = format;
    if (format == ACCESS_JSON) {
        json_front(&o, h);
        p->len[ACCESS_FRONT] = close_part(&o, &from);
        p->len[ACCESS_REQUEST] = 0;
        json_back(&o, h);
    } else {
        put_word(&o, h->client, NAME_CAP);
        PUT(&o, " - - ");
        p->len[ACCESS_FRONT] = close_part(&o, &from);
        common_request(&o, h);
        p->len[ACCESS_REQUEST] = close_part(&o, &from);
        if (format == ACCESS_COMBINED)
            combined_back(&o, h);
    }
    p->len[ACCESS_BACK] = close_part(&o, &from);
}

size_t access_format(const struct access_parts *p, const struct access_line *l, char *out)
{
    struct line o = {out};
    if (p->format == ACCESS_JSON)
        format_json(&o, p, l);
    else
        format_common(&o, p, l);
    return (size_t)(o.at - out);
}
