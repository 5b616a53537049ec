#include <string.h>
#include "cli/nearest.h"

#define WORD_MAX 40u

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Fills row i of the distance matrix from the two rows above it. */
static void fill_row(const char *a, const char *b, size_t i, size_t b_len,
                     unsigned rows[3][WORD_MAX + 1])
{
    unsigned *now = rows[i % 3];
    const unsigned *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

    now[0] = (unsigned)i;
    for (size_t j = 1; j <= b_len; j++) {
        unsigned change = above[j - 1] + (a[i - 1] != b[j - 1]);
        now[j] = min3(above[j] + 1, now[j - 1] + 1, change);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
            above2[j - 2] + 1 < now[j])
            now[j] = above2[j - 2] + 1;
    }
}

unsigned nearest_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned rows[3][WORD_MAX + 1];

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++)
        fill_row(a, b, i, b_len, rows);
    return rows[a_len % 3][b_len];
}

bool nearest_better(const char *word, const char *candidate, unsigned *best)
{
    unsigned distance = nearest_distance(word, candidate);
    size_t shorter = strlen(candidate) < strlen(word) ? strlen(candidate) : strlen(word);
    bool begins = shorter >= 2 && strncmp(word, candidate, shorter) == 0;

    if (begins && distance > 2)
        distance = 2; /* `comp` means `completion` although six letters are missing */
    if (distance > 2 || (distance == 2 && shorter < 3 && !begins) || distance >= *best)
        return false;
    *best = distance;
    return true;
}
