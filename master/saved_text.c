/* master/saved_text.c: state_file as text: written from the table, read into records. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "master/saved.h"
#include "master/words.h"
#include "shm/override.h"
#include "shm/pool.h"

#define FIRST_LINE "ballast-state 1\n"
#define WORDS_MAX  9

static uint64_t sum_of(const char *text, size_t len_bytes)
{
    const struct hash_key fixed = {0}; /* tells damage, not intent */
    return hash_bytes(fixed, text, len_bytes);
}

/* ---- writing ---- */

static void put_backend(FILE *out, const struct table *t, const struct entry *e)
{
    char address[NET_ADDR_STRLEN];
    (void)fputs("backend", out);
    words_put(out, t->pools[word_get(&e->pool)].name);
    words_put(out, e->name);
    words_put(out, e->endpoint);
    words_put(out, net_addr_format(&e->addr, address, sizeof address));
    (void)fprintf(out, " %u %u %u\n", word_get(&e->weight), word_get(&e->max_connections),
                  word_get(&e->backup));
}

static void put_override(FILE *out, const struct table *t, const struct entry *e,
                         enum override_field field)
{
    char value[24];
    const struct override_mark *mark = &e->overrides[field];
    (void)snprintf(value, sizeof value, "%u", override_value(e, field));
    (void)fputs("override", out);
    words_put(out, t->pools[word_get(&e->pool)].name);
    words_put(out, e->name);
    words_put(out, override_name(field));
    words_put(out, field == OVERRIDE_MODE ? entry_mode_name((enum entry_mode)word_get(&e->mode))
                                          : value);
    (void)fprintf(out, " %u %" PRIu64, mark->from_file, mark->wall_ms);
    words_put(out, mark->call);
    words_put(out, mark->by);
    (void)fputc('\n', out);
}

static uint32_t put_entry(FILE *out, const struct table *t, uint32_t index)
{
    const struct entry *e = &t->entries[index];
    uint32_t records = 0;
    if (word_get(&e->origin) == ORIGIN_API) {
        put_backend(out, t, e);
        records++;
    }
    for (enum override_field f = 0; f < OVERRIDE_FIELDS; f++) {
        if (!override_is_set(e, f) || word_get(&e->origin) == ORIGIN_DISCOVERY)
            continue;
        put_override(out, t, e, f);
        records++;
    }
    return records;
}

static uint32_t put_pools(FILE *out, const struct table *t)
{
    uint32_t records = 0, *members = malloc(ENTRY_MAX * sizeof *members);
    for (uint32_t p = 0; members != NULL && p < word_get(&t->header->pools_high); p++) {
        uint32_t count = entry_members(t, p, members, ENTRY_MAX);
        for (uint32_t i = 0; i < count; i++)
            records += put_entry(out, t, members[i]);
    }
    free(members);
    return records;
}

char *saved_format(struct table *t, uint32_t *records)
{
    char *text = NULL, end[64];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return NULL;
    (void)fputs(FIRST_LINE, out);
    table_lock(t);
    *records = put_pools(out, t);
    table_unlock(t);
    if (fflush(out) == 0) {
        (void)snprintf(end, sizeof end, "end %u %016" PRIx64 "\n", *records, sum_of(text, len));
        (void)fputs(end, out);
    }
    bool bad = ferror(out) != 0;
    if (fclose(out) == 0 && !bad)
        return text;
    free(text);
    return NULL;
}

/* ---- reading ---- */

struct reader {
    struct arena *arena;
    struct saved_record *first, **last;
    uint32_t count;
};

static bool read_backend(char **w, struct saved_record *r)
{
    uint64_t weight, connections, backup;
    if (!words_number(w[5], 256, &weight) || !words_number(w[6], 1000000, &connections) ||
        !words_number(w[7], 1, &backup))
        return false;
    *r = (struct saved_record){.pool = w[1],
                               .name = w[2],
                               .endpoint = w[3],
                               .address = w[4],
                               .weight = (uint32_t)weight,
                               .max_connections = (uint32_t)connections,
                               .backup = (uint32_t)backup};
    return true;
}

static bool read_override(char **w, struct saved_record *r)
{
    uint64_t from_file, wall_ms;
    if (!words_number(w[5], UINT32_MAX, &from_file) || !words_number(w[6], UINT64_MAX, &wall_ms))
        return false;
    *r = (struct saved_record){.is_override = true,
                               .pool = w[1],
                               .name = w[2],
                               .field = w[3],
                               .value = w[4],
                               .from_file = (uint32_t)from_file,
                               .wall_ms = wall_ms,
                               .call = w[7],
                               .by = w[8]};
    return true;
}

static bool read_line(struct reader *in, char *line)
{
    char *words[WORDS_MAX];
    struct saved_record record;
    int count = words_split(line, words, WORDS_MAX);
    bool good = (count == 8 && strcmp(words[0], "backend") == 0 && read_backend(words, &record)) ||
                (count == 9 && strcmp(words[0], "override") == 0 && read_override(words, &record));
    if (!good)
        return false;
    struct saved_record *r = ARENA_NEW(in->arena, struct saved_record);
    *r = record;
    *in->last = r;
    in->last = &r->next;
    in->count++;
    return true;
}

/* Finds the last line and compares what it says of the rest. NULL: it does not. */
static const char *check_end(const char *text, size_t len_bytes, uint32_t *records)
{
    uint64_t sum;
    int used = 0;
    const char *end = len_bytes < 2 ? NULL : memrchr(text, '\n', len_bytes - 1);
    if (end == NULL || text[len_bytes - 1] != '\n')
        return NULL;
    end++;
    if (sscanf(end, "end %" SCNu32 " %16" SCNx64 "\n%n", records, &sum, &used) != 2 ||
        used != (int)(text + len_bytes - end) || sum != sum_of(text, (size_t)(end - text)))
        return NULL;
    return end;
}

int saved_parse(const char *text, size_t len_bytes, struct arena *arena, struct saved_record **out,
                char *why, size_t why_cap)
{
    struct reader in = {.arena = arena, .last = &in.first};
    uint32_t records = 0, line = 1;
    char *copy = arena_strndup(arena, text, len_bytes); /* with a NUL behind it, for sscanf */
    const char *end = check_end(copy, len_bytes, &records);
    if (strncmp(copy, FIRST_LINE, strlen(FIRST_LINE)) != 0) {
        (void)snprintf(why, why_cap, "it does not begin as a state file of this version does");
        return -1;
    }
    if (end == NULL || memchr(copy, '\0', len_bytes) != NULL) {
        (void)snprintf(why, why_cap, "its end is missing or its checksum is wrong");
        return -1;
    }
    for (char *at = copy + strlen(FIRST_LINE), *next; at < end; at = next) {
        next = strchr(at, '\n') + 1;
        next[-1] = '\0';
        line++;
        if (!read_line(&in, at)) {
            (void)snprintf(why, why_cap, "line %u is not understood", line);
            return -1;
        }
    }
    if (in.count != records) {
        (void)snprintf(why, why_cap, "it holds %u records and says %u", in.count, records);
        return -1;
    }
    *out = in.first;
    return 0;
}
