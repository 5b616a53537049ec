#include "base/http1_int.h"

#define SIZE_LINE_MAX_BYTES 4096
#define TRAILERS_MAX_BYTES  16384
#define SIZE_DIGITS_MAX     16

/* Each byte that is not payload moves one step. The order counts: extensions before SIZE_LF,
 * trailers last. */
enum state {
    SIZE,
    EXT_START, /* after ';', white space allowed */
    EXT_NAME,
    EXT_AFTER_NAME, /* white space after a name: '=' or ';' must follow */
    EXT_VALUE_START,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPE,
    EXT_AFTER_QUOTED,
    EXT_AFTER_VALUE, /* white space after a value: ';' must follow */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
    FAILED
};

void http1_chunked_reset(struct http1_chunked *c)
{
    *c = (struct http1_chunked){.state = SIZE};
}

static uint8_t hex_value(char ch)
{
    return (uint8_t)(ch <= '9' ? ch - '0' : (ch | 0x20) - 'a' + 10);
}

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t';
}

static uint8_t size_byte(struct http1_chunked *c, char ch)
{
    if (http1_is(ch, HTTP1_C_HEX)) {
        if (c->digits == SIZE_DIGITS_MAX || c->left > (INT64_MAX >> 4)) {
            return FAILED;
        }
        c->digits++;
        c->left = c->left << 4 | hex_value(ch);
        return SIZE;
    }
    if (c->digits == 0) {
        return FAILED;
    }
    return ch == '\r' ? SIZE_LF : ch == ';' ? EXT_START : FAILED;
}

/* What may follow a complete name or value. */
static uint8_t ext_end(char ch, uint8_t blank_state)
{
    return ch == '\r' ? SIZE_LF : ch == ';' ? EXT_START : is_blank(ch) ? blank_state : FAILED;
}

/* *( ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] BWS ), RFC 9112 7.1.1. */
static uint8_t ext_byte(uint8_t state, char ch)
{
    bool token = http1_is(ch, HTTP1_C_TOKEN);

    switch (state) {
    case EXT_START: return token ? EXT_NAME : is_blank(ch) ? EXT_START : FAILED;
    case EXT_NAME:
        if (token) {
            return EXT_NAME;
        }
        return ch == '=' ? EXT_VALUE_START : ext_end(ch, EXT_AFTER_NAME);
    case EXT_AFTER_NAME:
        if (ch == '=') {
            return EXT_VALUE_START;
        }
        return is_blank(ch) ? EXT_AFTER_NAME : ch == ';' ? EXT_START : FAILED;
    case EXT_VALUE_START:
        if (ch == '"') {
            return EXT_QUOTED;
        }
        return token ? EXT_VALUE : is_blank(ch) ? EXT_VALUE_START : FAILED;
    case EXT_VALUE: return token ? EXT_VALUE : ext_end(ch, EXT_AFTER_VALUE);
    case EXT_QUOTED:
        if (ch == '"') {
            return EXT_AFTER_QUOTED;
        }
        return ch == '\\' ? EXT_ESCAPE : http1_is(ch, HTTP1_C_VALUE) ? EXT_QUOTED : FAILED;
    case EXT_ESCAPE: return http1_is(ch, HTTP1_C_VALUE) ? EXT_QUOTED : FAILED;
    case EXT_AFTER_QUOTED: return ext_end(ch, EXT_AFTER_VALUE);
    default: return is_blank(ch) ? EXT_AFTER_VALUE : ch == ';' ? EXT_START : FAILED;
    }
}

/* FNV-1a of the name in lower case, byte by byte because a name may arrive in pieces. */
#define NAME_HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t name_hash(uint64_t hash, char ch)
{
    return (hash ^ ((uint8_t)ch | 0x20u)) * UINT64_C(0x100000001b3);
}

/*
 * RFC 9110 6.5.1: framing and routing do not belong into trailers, and a backend that merges them
 * into its header fields must not be reached by them. Another name of the same hash is refused as
 * well, which nobody will live to see.
 */
static bool trailer_allowed(uint64_t hash)
{
    static const char *const refused[] = {"content-length", "transfer-encoding", "host"};

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        uint64_t want = NAME_HASH_START;
        for (const char *p = refused[i]; *p != '\0'; p++) {
            want = name_hash(want, *p);
        }
        if (want == hash) {
            return false;
        }
    }
    return true;
}

static uint8_t trailer_name_byte(struct http1_chunked *c, char ch)
{
    if (ch == ':') {
        return trailer_allowed(c->trailer_name) ? TRAILER_VALUE : FAILED;
    }
    c->trailer_name = name_hash(c->trailer_name, ch);
    return http1_is(ch, HTTP1_C_TOKEN) ? TRAILER_NAME : FAILED;
}

static uint8_t trailer_byte(struct http1_chunked *c, char ch)
{
    switch (c->state) {
    case TRAILER_START:
        if (ch == '\r') {
            return LAST_LF;
        }
        c->trailer_name = NAME_HASH_START;
        return ch == ':' ? FAILED : trailer_name_byte(c, ch);
    case TRAILER_NAME: return trailer_name_byte(c, ch);
    case TRAILER_VALUE:
        return ch == '\r' ? TRAILER_LF : http1_is(ch, HTTP1_C_VALUE) ? TRAILER_VALUE : FAILED;
    case TRAILER_LF: return ch == '\n' ? TRAILER_START : FAILED;
    default: return ch == '\n' ? DONE : FAILED;
    }
}

/* End of a size line: a zero starts the trailers. */
static uint8_t size_line_end(struct http1_chunked *c, char ch)
{
    if (ch != '\n') {
        return FAILED;
    }
    c->line_bytes = 0;
    c->digits = 0;
    return c->left > 0 ? DATA : TRAILER_START;
}

static uint8_t framing_byte(struct http1_chunked *c, char ch)
{
    uint32_t max = c->state >= TRAILER_START ? TRAILERS_MAX_BYTES : SIZE_LINE_MAX_BYTES;

    if (c->line_bytes >= max) {
        return FAILED;
    }
    c->line_bytes++;
    switch (c->state) {
    case SIZE: return size_byte(c, ch);
    case SIZE_LF: return size_line_end(c, ch);
    case DATA_CR: return ch == '\r' ? DATA_LF : FAILED;
    case DATA_LF: c->line_bytes = 0; return ch == '\n' ? SIZE : FAILED;
    default: return c->state < SIZE_LF ? ext_byte(c->state, ch) : trailer_byte(c, ch);
    }
}

enum http1_result http1_chunked_step(struct http1_chunked *c, const char *buf, uint32_t len,
                                     uint32_t *consumed, struct http1_span *payload)
{
    uint32_t at = 0;

    *consumed = 0;
    c->trailers_off = 0;
    *payload = (struct http1_span){0, 0};
    while (at < len && c->state < DONE && c->state != DATA) {
        c->state = framing_byte(c, buf[at++]);
        if (c->state == TRAILER_START && !c->trailing) {
            c->trailing = true;
            c->trailers_off = at;
        }
    }
    if (c->state == FAILED) {
        return HTTP1_ERROR;
    }
    if (c->state == DATA && at < len) {
        uint32_t run = len - at < c->left ? len - at : (uint32_t)c->left;
        *payload = (struct http1_span){at, run};
        at += run;
        c->left -= run;
        c->state = c->left > 0 ? DATA : DATA_CR;
    }
    *consumed = at;
    return c->state == DONE ? HTTP1_DONE : HTTP1_MORE;
}
