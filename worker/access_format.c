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
#define NAME_CAP   90u  /* four with the head and then the user, four at the end */
#define HEAD_FIXED 160u /* keys, for JSON */
#define FIXED      510u /* all keys, and numbers */
#define STEP       32u
#define SLACK      STEP /* what is copied in steps may be so much longer */
_Static_assert(TARGET_CAP + 2 * AGENT_CAP + HOST_CAP + ID_CAP + 5 * NAME_CAP + HEAD_FIXED + SLACK <=
                   ACCESS_HEAD_BYTES,
               "what is known with the head fits");
_Static_assert(TARGET_CAP + 2 * AGENT_CAP + HOST_CAP + 2 * ID_CAP + 9 * NAME_CAP + FIXED + SLACK <=
                   ACCESS_LINE_BYTES,
               "a line fits");

/* Whoever puts something takes where it is to stand and returns where the next is to stand: by
 * value, or the compiler would have to think that each byte may have changed the pointer. */

static inline char *put(char *to, const char *text, size_t len)
{
    memcpy(to, text, len);
    return to + len;
}

/* What is fixed is copied in steps of eight or sixteen bytes, with zeros behind it: the room for a
 * line, and for its parts, is longer than the longest of them. */
#define ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static inline char *put_padded(char *to, const char *padded, size_t len)
{
    memcpy(to, padded, len <= 8 ? 8 : (len + 15) / 16 * 16);
    return to + len;
}

#define PUT(to, literal) put_padded((to), literal ZEROS, sizeof(literal) - 1)

/* Microseconds as milliseconds. */
static inline char *put_ms(char *to, uint64_t us)
{
    uint64_t ms = us / 1000;
    to = digits_uint(to, ms);
    *to = '.';
    digits_three(to + 1, (uint32_t)(us - ms * 1000));
    return to + 4;
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
static char *put_json_byte(char *to, unsigned char c)
{
    if (c == '"' || c == '\\') {
        to[0] = '\\';
        to[1] = (char)c;
        return to + 2;
    }
    char digits[8];
    uint64_t all = digits_of_word(c);
    memcpy(digits, &all, sizeof digits);
    return put(PUT(to, "\\u"), digits + 4, 4);
}

static char *put_plain_byte(char *to, unsigned char c)
{
    char digits[8];
    uint64_t all = digits_of_word(c);
    memcpy(digits, &all, sizeof digits);
    return put(PUT(to, "\\x"), digits + 6, 2);
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

/* Puts what does not all stand as it is, up to end at most. */
__attribute__((noinline, cold)) static char *put_odd(char *to, const char *end,
                                                     struct access_text t, bool json)
{
    while (t.len) {
        uint32_t left = (uint32_t)(end - to);
        uint32_t n = copy_plain(to, t.at, t.len < left ? t.len : left);
        to += n;
        t.at += n;
        t.len -= n;
        if (t.len == 0 || end - to < 6)
            break;
        uint32_t len = json ? utf8_len((const unsigned char *)t.at, t.len) : 0;
        if (len)
            to = put(to, t.at, len);
        else if (json)
            to = put_json_byte(to, (unsigned char)*t.at);
        else
            to = put_plain_byte(to, (unsigned char)*t.at);
        t.at += len ? len : 1;
        t.len -= len ? len : 1;
    }
    return to;
}

/* Puts at most cap bytes. */
static inline char *put_escaped(char *to, struct access_text t, uint32_t cap, bool json)
{
    uint32_t n = copy_plain(to, t.at, t.len < cap ? t.len : cap);
    if (UNLIKELY(n < t.len))
        return put_odd(to + n, to + cap, (struct access_text){t.at + n, t.len - n}, json);
    return to + n;
}

/* Two copies that may overlap. */
#define COPY_ENDS(to, from, len, half)                                                             \
    (memcpy((to), (from), (half)), memcpy((to) + (len) - (half), (from) + (len) - (half), (half)))

/* Nothing in it is to be escaped, and most are short. */
static inline char *put_word(char *to, struct access_text t, uint32_t cap)
{
    uint32_t len = t.len < cap ? t.len : cap;
    if (len > 32)
        memcpy(to, t.at, len);
    else if (len > 16)
        COPY_ENDS(to, t.at, len, 16);
    else if (len >= 8)
        COPY_ENDS(to, t.at, len, 8);
    else if (len >= 4)
        COPY_ENDS(to, t.at, len, 4);
    else if (len >= 2)
        COPY_ENDS(to, t.at, len, 2);
    else if (len)
        *to = *t.at;
    return to + len;
}

/* What was written with the head. In steps of 32 bytes: behind it there is more of the note, and
 * room. */
static inline char *put_part(char *to, const char *part, uint32_t len)
{
    for (uint32_t n = 0; n < len; n += STEP)
        memcpy(to + n, part + n, STEP);
    return to + len;
}

/* ---- JSON ---- */

static inline char *json_text(char *to, struct access_text t, uint32_t cap)
{
    if (!t.at)
        return PUT(to, "null");
    *to = '"';
    to = put_escaped(to + 1, t, cap, true);
    *to = '"';
    return to + 1;
}

static inline char *json_word(char *to, struct access_text t, uint32_t cap)
{
    if (!t.at)
        return PUT(to, "null");
    *to = '"';
    to = put_word(to + 1, t, cap);
    *to = '"';
    return to + 1;
}

static inline char *json_ms(char *to, uint64_t us)
{
    return us == UINT64_MAX ? PUT(to, "null") : put_ms(to, us);
}

#define KEY(to, name) PUT((to), ",\"" name "\":")

static char *json_front(char *to, const struct access_head *h)
{
    to = PUT(to, "\",\"request_id\":");
    to = h->own_id ? json_word(to, h->request_id, ID_CAP) : json_text(to, h->request_id, ID_CAP);
    to = json_word(KEY(to, "client"), h->client, NAME_CAP);
    to = json_word(KEY(to, "listener"), h->listener, NAME_CAP);
    to = json_word(KEY(to, "method"), h->method, NAME_CAP);
    to = json_word(KEY(to, "host"), h->host, HOST_CAP);
    to = json_text(KEY(to, "path"), h->target, TARGET_CAP);
    return json_word(KEY(to, "protocol"), h->protocol, NAME_CAP);
}

static char *json_back(char *to, const struct access_head *h)
{
    to = json_text(KEY(to, "user_agent"), h->user_agent, AGENT_CAP);
    return json_text(KEY(to, "referer"), h->referer, AGENT_CAP);
}

static const struct tm *broken_down(uint64_t wall_ms, time_t *cached, struct tm *tm)
{
    time_t now = (time_t)(wall_ms / 1000);
    if (now != *cached && gmtime_r(&now, tm))
        *cached = now;
    return tm;
}

/* "2026-01-31T12:34:56.789Z"; all but the milliseconds is made once per second. */
static char *put_rfc3339(char *to, uint64_t wall_ms)
{
    static time_t cached = -1;
    static struct tm tm;
    static char text[32];
    static size_t len;
    time_t before = cached;
    const struct tm *now = broken_down(wall_ms, &cached, &tm);
    if (before != cached)
        len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", now);
    memcpy(to, text, sizeof text);
    to += len;
    digits_three(to, (uint32_t)(wall_ms % 1000));
    to[3] = 'Z';
    return to + 4;
}

/* Where the user stands in the text. */
static uint32_t user_at(const struct access_parts *p)
{
    return (uint32_t)p->len[ACCESS_FRONT] + p->len[ACCESS_REQUEST] + p->len[ACCESS_BACK];
}

static char *format_json(char *to, const struct access_parts *p, const struct access_line *l)
{
    to = put_rfc3339(PUT(to, "{\"time\":\""), l->wall_ms);
    to = put_part(to, p->text, p->len[ACCESS_FRONT]);
    to = digits_uint(KEY(to, "status"), l->status);
    to = digits_uint(KEY(to, "bytes_in"), l->bytes_in);
    to = digits_uint(KEY(to, "bytes_out"), l->bytes_out);
    to = json_ms(KEY(to, "duration_ms"), l->duration_us);
    to = json_word(KEY(to, "pool"), l->pool, NAME_CAP);
    to = json_text(KEY(to, "backend"), l->backend, NAME_CAP);
    to = json_ms(KEY(to, "backend_ms"), l->backend_us);
    to = digits_uint(KEY(to, "attempts"), l->attempts);
    to = json_word(KEY(to, "termination"), l->termination, NAME_CAP);
    to = json_word(KEY(to, "tls"), l->tls, NAME_CAP);
    to = put_part(to, p->text + p->len[ACCESS_FRONT], p->len[ACCESS_BACK]);
    if (UNLIKELY(p->len[ACCESS_USER]))
        to = put_part(to, p->text + user_at(p), p->len[ACCESS_USER]);
    if (UNLIKELY(l->trace_id.at != NULL))
        to = json_text(KEY(to, "trace_id"), l->trace_id, ID_CAP);
    return PUT(to, "}\n");
}

/* ---- combined, common ---- */

static char *put_or_dash(char *to, struct access_text t, uint32_t cap)
{
    return t.len ? put_escaped(to, t, cap, false) : PUT(to, "-");
}

static char *common_request(char *to, const struct access_head *h)
{
    to = PUT(to, " \"");
    if (!h->method.len)
        return PUT(to, "-\" ");
    to = PUT(put_word(to, h->method, NAME_CAP), " ");
    to = PUT(put_escaped(to, h->target, TARGET_CAP, false), " ");
    return PUT(put_word(to, h->protocol, NAME_CAP), "\" ");
}

static char *combined_back(char *to, const struct access_head *h)
{
    to = put_or_dash(PUT(to, " \""), h->referer, AGENT_CAP);
    to = put_or_dash(PUT(to, "\" \""), h->user_agent, AGENT_CAP);
    return PUT(to, "\"");
}

/* "[31/Jan/2026:12:34:56 +0000]", made once per second. */
static char *put_common_time(char *to, uint64_t wall_ms)
{
    static time_t cached = -1;
    static struct tm tm;
    static char text[40];
    static size_t len;
    time_t before = cached;
    const struct tm *now = broken_down(wall_ms, &cached, &tm);
    if (before != cached) /* no process here sets a locale: the names are English */
        len = strftime(text, sizeof text, "[%d/%b/%Y:%H:%M:%S +0000]", now);
    memcpy(to, text, sizeof text);
    return to + len;
}

static char *format_common(char *to, const struct access_parts *p, const struct access_line *l)
{
    const char *request = p->text + p->len[ACCESS_FRONT];
    to = put_part(to, p->text, p->len[ACCESS_FRONT]);
    to = p->len[ACCESS_USER] ? put_part(to, p->text + user_at(p), p->len[ACCESS_USER])
                             : PUT(to, "-");
    to = put_common_time(PUT(to, " "), l->wall_ms);
    to = put_part(to, request, p->len[ACCESS_REQUEST]);
    to = l->status ? digits_uint(to, l->status) : PUT(to, "-");
    to = digits_uint(PUT(to, " "), l->bytes_out);
    to = put_part(to, request + p->len[ACCESS_REQUEST], p->len[ACCESS_BACK]);
    return PUT(to, "\n");
}

/* Not within quotes: a space is escaped as well. */
static char *put_bare(char *to, struct access_text t, uint32_t cap)
{
    const char *end = to + cap - 4;
    for (uint32_t i = 0; i < t.len && to <= end; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (plain[c] && c != ' ')
            *to++ = (char)c;
        else
            to = put_plain_byte(to, c);
    }
    return to;
}

/* ---- all ---- */

void access_format_head(enum conf_access_format format, const struct access_head *h,
                        struct access_parts *p)
{
    char *front, *request, *back;
    p->format = format;
    if (format == ACCESS_JSON) {
        front = request = json_front(p->text, h);
        back = json_back(request, h);
    } else {
        front = PUT(put_word(p->text, h->client, NAME_CAP), " - ");
        back = request = common_request(front, h);
        if (format == ACCESS_COMBINED)
            back = combined_back(request, h);
    }
    p->len[ACCESS_FRONT] = (uint16_t)(front - p->text);
    p->len[ACCESS_REQUEST] = (uint16_t)(request - front);
    p->len[ACCESS_BACK] = (uint16_t)(back - request);
    p->len[ACCESS_USER] = 0;
}

void access_format_user(struct access_text name, struct access_parts *p)
{
    char *from = p->text + user_at(p), *to = from;
    if (p->format == ACCESS_JSON)
        to = json_text(KEY(to, "user"), name, NAME_CAP);
    else
        to = put_bare(to, name, NAME_CAP);
    p->len[ACCESS_USER] = (uint16_t)(to - from);
}

uint32_t access_format_bytes(const struct access_parts *p)
{
    return user_at(p) + p->len[ACCESS_USER];
}

size_t access_format(const struct access_parts *p, const struct access_line *l, char *out)
{
    char *end = p->format == ACCESS_JSON ? format_json(out, p, l) : format_common(out, p, l);
    return (size_t)(end - out);
}
