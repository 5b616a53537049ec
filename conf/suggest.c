#include "conf/suggest.h"

#include <ctype.h>
#include <string.h>

static char fold(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned suggest_distance(const char *a, const char *b)
{
    unsigned rows[3][SUGGEST_NAME_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > SUGGEST_NAME_MAX || b_len > SUGGEST_NAME_MAX)
        return UINT32_MAX;
    for (unsigned j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned change = fold(a[i - 1]) != fold(b[j - 1]);
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + change);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

/* Is one the beginning of the other, underscores and case aside ("leastconn", "least_connections")?
 */
static bool is_beginning(const char *a, const char *b)
{
    unsigned same = 0;
    for (;; a++, b++) {
        a += strspn(a, "_-");
        b += strspn(b, "_-");
        if (!*a || !*b)
            return same >= 4;
        if (fold(*a) != fold(*b))
            return false;
        same++;
    }
}

void suggest_init(struct suggest *s, const char *wanted)
{
    *s = (struct suggest){.wanted = wanted, .best = NULL, .distance = UINT32_MAX};
}

void suggest_offer(struct suggest *s, const char *candidate)
{
    size_t len = strlen(s->wanted);
    unsigned allowed = len < 5 ? 1 : len < 9 ? 2 : (unsigned)(len / 3);
    size_t other = strlen(candidate), apart = len > other ? len - other : other - len;
    unsigned distance = UINT32_MAX;
    if (apart <= allowed) /* it is at least that far */
        distance = suggest_distance(s->wanted, candidate);
    if (distance > allowed || distance >= len) {
        if (!is_beginning(s->wanted, candidate))
            return;
        distance = allowed;
    }
    if (distance < s->distance) {
        s->distance = distance;
        s->best = candidate;
    }
}

void suggest_offer_alias(struct suggest *s, const char *candidate, const char *also)
{
    size_t len = strlen(s->wanted);
    for (const char *word = also; word && *word; word += strspn(word, " ")) {
        size_t word_len = strcspn(word, " ");
        if (s->distance > 0 && word_len == len && memcmp(word, s->wanted, len) == 0) {
            s->distance = 0;
            s->best = candidate;
        }
        word += word_len;
    }
}
