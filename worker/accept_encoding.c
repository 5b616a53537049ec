#include "worker/accept_encoding.h"

#include <string.h>
#include <strings.h>

#define WEIGHT_FULL 1000

struct text {
    const char *at, *end;
};

static void skip_space(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t'))
        t->at++;
}

static bool next_is(struct text *t, char c)
{
    skip_space(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

/* "0.5" in thousandths, ACCEPT_UNSAID: malformed (RFC 9110 12.4.2). */
static int read_weight(struct text *t)
{
    if (t->at == t->end || (*t->at != '0' && *t->at != '1'))
        return ACCEPT_UNSAID;
    int weight = (*t->at++ - '0') * WEIGHT_FULL;
    if (t->at < t->end && *t->at == '.') {
        t->at++;
        for (int unit = 100; unit && t->at < t->end && *t->at >= '0' && *t->at <= '9'; unit /= 10)
            weight += (*t->at++ - '0') * unit;
    }
    return weight <= WEIGHT_FULL ? weight : ACCEPT_UNSAID;
}

/* Behind the name, up to the end of the element. */
static int read_rest(struct text *t)
{
    int weight = WEIGHT_FULL;
    if (next_is(t, ';')) {
        skip_space(t);
        if (t->end - t->at < 2 || (*t->at | 0x20) != 'q' || t->at[1] != '=')
            return ACCEPT_UNSAID;
        t->at += 2;
        weight = read_weight(t);
    }
    skip_space(t);
    return t->at == t->end ? weight : ACCEPT_UNSAID;
}

static int16_t *place_of(struct accept_encoding *a, const char *name, size_t len)
{
    if (len == 1 && *name == '*')
        return &a->others;
    if (len == 8 && strncasecmp(name, "identity", 8) == 0)
        return &a->weights[CODING_NONE];
    if (len > 2 && strncasecmp(name, "x-", 2) == 0) { /* x-gzip: RFC 9110 8.4.1.3 */
        name += 2;
        len -= 2;
    }
    enum conf_coding coding = conf_coding_find(name, len);
    return coding ? &a->weights[coding] : NULL;
}

static void add_element(struct accept_encoding *a, struct text element)
{
    skip_space(&element);
    const char *name = element.at;
    while (element.at < element.end && !strchr(" \t;", *element.at))
        element.at++;
    int16_t *place = place_of(a, name, (size_t)(element.at - name));
    int weight = read_rest(&element);
    if (place && *place == ACCEPT_UNSAID)
        *place = (int16_t)weight;
}

void accept_encoding_init(struct accept_encoding *a)
{
    for (unsigned i = 0; i < CODING_COUNT; i++)
        a->weights[i] = ACCEPT_UNSAID;
    a->others = ACCEPT_UNSAID;
}

void accept_encoding_add(struct accept_encoding *a, const char *value, uint32_t len)
{
    const char *end = value + len;
    while (value < end) {
        const char *comma = memchr(value, ',', (size_t)(end - value));
        add_element(a, (struct text){value, comma ? comma : end});
        value = comma ? comma + 1 : end;
    }
}

static int weight_of(const struct accept_encoding *a, enum conf_coding coding)
{
    int said = a->weights[coding] != ACCEPT_UNSAID ? a->weights[coding] : a->others;
    return said == ACCEPT_UNSAID ? 0 : said;
}

enum conf_coding accept_encoding_choose(const struct accept_encoding *a, const uint8_t *order)
{
    enum conf_coding best = CODING_NONE;
    int most = 0;
    for (unsigned i = 0; i < CODING_COUNT - 1 && order[i] != CODING_NONE; i++) {
        int weight = weight_of(a, order[i]);
        if (weight > most) {
            most = weight;
            best = order[i];
        }
    }
    return a->weights[CODING_NONE] > most ? CODING_NONE : best;
}
