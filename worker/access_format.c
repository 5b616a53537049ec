/* worker/access_format.c */
#include "worker/access_format.h"

#include <string.h>
#include <time.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* How much of the line a value may take, escaped. All together they leave room for what is fixed.
 */
#define TARGET_CAP 1200u
#define AGENT_CAP  450u /* and the referer */
#define HOST_CAP   280u
#define ID_CAP     160u /* of the request, of the trace */
#define NAME_CAP   90u  /* and eight short ones */
#define FIXED      600u /* keys and numbers */
_Static_assert(TARGET_CAP + 2 * AGENT_CAP + HOST_CAP + 2 * ID_CAP + 8 * NAME_CAP + FIXED <=
                   ACCESS_LINE_BYTES,
               "a line fits");

struct line {
    char *at;
};

static void put(struct line *o, const char *text, size_t len)
{
    memcpy(o->at, text, len);
    o->at += len;
}

#define PUT(o, literal) put((o), literal, sizeof(literal) - 1)

static void put_uint(struct line *o, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while (v /= 10);
    put(o, digits + n, sizeof digits - n);
}

/* Microseconds as milliseconds. */
static void put_ms(struct line *o, uint64_t us)
{
    char fraction[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                        (char)('0' + us % 10)};
    put_uint(o, us / 1000);
    put(o, fraction, sizeof fraction);
}

/* ---- escaping ---- */

static const char hex[] = "0123456789abcdef";

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
    char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    put(o, six, sizeof six);
}

static void put_plain_byte(struct line *o, unsigned char c)
{
    char four[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
    put(o, four, sizeof four);
}

/* Bytes that stand as they are, in all formats. */
static const bool plain[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

/* How many bytes from here on stand as they are. */
static uint32_t plain_run(const char *s, uint32_t len)
{
    uint32_t n = 0;
#ifdef __SSE2__
    for (; len - n >= sizeof(__m128i); n += (uint32_t)sizeof(__m128i)) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + n));
        /* signed: what is not ASCII is below a space as well */
        __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(' '));
        __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                     _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        __m128i last = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
        int odd = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(low, marks), last));
        if (odd)
            return n + (uint32_t)__builtin_ctz((unsigned)odd);
    }
#endif
    while (n < len && plain[(unsigned char)s[n]])
        n++;
    return n;
}

/* Puts at most cap bytes. */
static void put_escaped(struct line *o, struct access_text t, uint32_t cap, bool json)
{
    const char *end = o->at + cap;
    for (uint32_t i = 0; i < t.len;) {
        uint32_t run = plain_run(t.at + i, t.len - i);
        uint32_t left = (uint32_t)(end - o->at), n = run < left ? run : left;
        put(o, t.at + i, n);
        i += n;
        if (i == t.len || end - o->at < 6)
            return;
        const unsigned char *s = (const unsigned char *)t.at + i;
        uint32_t len = json ? utf8_len(s, t.len - i) : 0;
        if (len)
            put(o, t.at + i, len);
        else if (json)
            put_json_byte(o, *s);
        else
            put_plain_byte(o, *s);
        i += len ? len : 1;
    }
}

static struct access_text text_of(const char *s)
{
    return (struct access_text){s, s ? (uint32_t)strlen(s) : 0};
}

/* ---- JSON ---- */

static void json_text(struct line *o, struct access_text t, uint32_t cap)
{
    if (!t.at) {
        PUT(o, "null");
        return;
    }
    PUT(o, "\"");
    put_escaped(o, t, cap, true);
    PUT(o, "\"");
}

/* A word of our own: names of listeners and pools, addresses, protocols. Nothing in it is to be
 * escaped. */
static void json_word(struct line *o, const char *s)
{
    if (!s) {
        PUT(o, "null");
        return;
    }
    size_t len = strlen(s);
    PUT(o, "\"");
    put(o, s, len < NAME_CAP ? len : NAME_CAP);
    PUT(o, "\"");
}

static void json_ms(struct line *o, uint64_t us)
{
    if (us == UINT64_MAX)
        PUT(o, "null");
    else
        put_ms(o, us);
}

#define KEY(o, name) PUT((o), ",\"" name "\":")

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
    time_t before = cached;
    uint32_t ms = (uint32_t)(wall_ms % 1000);
    const struct tm *now = broken_down(wall_ms, &cached, &tm);
    if (before != cached)
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", now);
    char fraction[5] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                        (char)('0' + ms % 10), 'Z'};
    put(o, text, strlen(text));
    put(o, fraction, sizeof fraction);
}

static void format_json(struct line *o, const struct access_line *l)
{
    PUT(o, "{\"time\":\"");
    put_rfc3339(o, l->wall_ms);
    PUT(o, "\"");
    KEY(o, "request_id");
    json_text(o, l->request_id, ID_CAP);
    KEY(o, "client");
    json_word(o, l->client);
    KEY(o, "listener");
    json_word(o, l->listener);
    KEY(o, "method");
    json_text(o, l->method, NAME_CAP);
    KEY(o, "host");
    json_text(o, l->host, HOST_CAP);
    KEY(o, "path");
    json_text(o, l->target, TARGET_CAP);
    KEY(o, "protocol");
    json_word(o, l->protocol);
    KEY(o, "status");
    put_uint(o, l->status);
    KEY(o, "bytes_in");
    put_uint(o, l->bytes_in);
    KEY(o, "bytes_out");
    put_uint(o, l->bytes_out);
    KEY(o, "duration_ms");
    json_ms(o, l->duration_us);
    KEY(o, "pool");
    json_word(o, l->pool);
    KEY(o, "backend");
    json_text(o, text_of(l->backend), NAME_CAP);
    KEY(o, "backend_ms");
    json_ms(o, l->backend_us);
    KEY(o, "attempts");
    put_uint(o, l->attempts);
    KEY(o, "termination");
    json_text(o, text_of(l->termination), NAME_CAP);
    KEY(o, "tls");
    json_word(o, l->tls);
    KEY(o, "user_agent");
    json_text(o, l->user_agent, AGENT_CAP);
    KEY(o, "referer");
    json_text(o, l->referer, AGENT_CAP);
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

static void format_common(struct line *o, const struct access_line *l)
{
    put_or_dash(o, text_of(l->client), NAME_CAP);
    PUT(o, " - - ");
    put_common_time(o, l->wall_ms);
    PUT(o, " \"");
    put_or_dash(o, l->method, NAME_CAP);
    if (l->method.len) {
        PUT(o, " ");
        put_escaped(o, l->target, TARGET_CAP, false);
        PUT(o, " ");
        put_escaped(o, text_of(l->protocol), NAME_CAP, false);
    }
    PUT(o, "\" ");
    if (l->status)
        put_uint(o, l->status);
    else
        PUT(o, "-");
    PUT(o, " ");
    put_uint(o, l->bytes_out);
}

size_t access_format(enum conf_access_format format, const struct access_line *l, char *out)
{
    struct line o = {out};
    if (format == ACCESS_JSON) {
        format_json(&o, l);
        return (size_t)(o.at - out);
    }
    format_common(&o, l);
    if (format == ACCESS_COMBINED) {
        PUT(&o, " \"");
        put_or_dash(&o, l->referer, AGENT_CAP);
        PUT(&o, "\" \"");
        put_or_dash(&o, l->user_agent, AGENT_CAP);
        PUT(&o, "\"");
    }
    PUT(&o, "\n");
    return (size_t)(o.at - out);
}
