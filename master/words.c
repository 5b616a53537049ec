#include "master/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void words_put(FILE *out, const char *word)
{
    (void)fputc(' ', out);
    if (*word == '\0')
        (void)fputc('%', out); /* an empty word would vanish between two spaces */
    for (; *word != '\0'; word++) {
        unsigned char c = (unsigned char)*word;
        if (c <= ' ' || c == '%' || c == 0x7f)
            (void)fprintf(out, "%%%02X", c);
        else
            (void)fputc(c, out);
    }
}

static int hex(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* In place. "%" alone is the empty word. False: not validly encoded. */
static bool decode(char *word)
{
    char *out = word;
    if (strcmp(word, "%") == 0) {
        *word = '\0';
        return true;
    }
    for (; *word != '\0'; word++) {
        if (*word != '%') {
            *out++ = *word;
            continue;
        }
        int high = hex(word[1]), low = high == -1 ? -1 : hex(word[2]);
        if (low == -1 || high * 16 + low == 0)
            return false;
        *out++ = (char)(high * 16 + low);
        word += 2;
    }
    *out = '\0';
    return true;
}

int words_split(char *line, char **words, int most)
{
    int count = 0;
    for (char *save, *w = strtok_r(line, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        if (count == most || !decode(w))
            return -1;
        words[count++] = w;
    }
    return count;
}

bool words_number(const char *word, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(word, &end, 10);
    return word[0] >= '0' && word[0] <= '9' && *end == '\0' && errno == 0 && *out <= max;
}
