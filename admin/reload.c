#include "admin/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/body.h"

#define TEXT_MAX (1u << 20)

uint32_t reload_join(struct reload *r)
{
    if (r->busy) {
        r->again = true;
        return r->round + 1;
    }
    if (r->ask(r->arg) != 0)
        return 0;
    r->busy = true;
    return ++r->round;
}

bool reload_end(struct reload *r, uint32_t *round, uint32_t *lost)
{
    *lost = 0;
    if (!r->busy)
        return false;
    *round = r->round;
    r->busy = false;
    if (!r->again)
        return true;
    r->again = false;
    r->round++;
    r->busy = r->ask(r->arg) == 0;
    if (!r->busy)
        *lost = r->round;
    return true;
}

/* ---- the answer ---- */

static void write_one(void *arg, const char *s)
{
    json_string(arg, s);
}

static void write_lines(struct json *j, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len)
            json_string_n(j, text, len);
        text += len + (text[len] == '\n');
    }
}

/* What the master said as an array of strings: a JSON array, an object's member of that name, or
 * plain lines. */
static void write_list(struct json *j, const char *key, const char *text)
{
    json_key(j, key);
    json_array_begin(j);
    if (!body_strings(text, key, write_one, j))
        write_lines(j, text);
    json_array_end(j);
}

void reload_answer(struct response *r, uint32_t result, uint32_t generation, const char *text)
{
    struct json *j;
    if (result == 0) {
        j = response_json(r, 200);
        json_object_begin(j);
        json_kv_uint(j, "generation", generation);
        write_list(j, "changes", text);
        if (*text == '{')
            write_list(j, "overrides", text);
    } else {
        j = response_problem_open(r, 422, "refused-configuration",
                                  "the configuration was refused; the old one keeps serving");
        json_kv_uint(j, "generation", generation);
        write_list(j, "errors", text);
    }
    json_object_end(j);
}

/* From the start whatever the offset: the descriptor is a memfd that somebody has just written. */
static char *read_all(int fd)
{
    char *text = malloc(TEXT_MAX + 1);
    size_t len = 0;
    while (text && len < TEXT_MAX) {
        ssize_t n = pread(fd, text + len, TEXT_MAX - len, (off_t)len);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (text)
        text[len] = '\0';
    return text;
}

char *reload_text(const char *text, int fd)
{
    if (fd == -1)
        return strdup(text);
    return read_all(fd);
}
