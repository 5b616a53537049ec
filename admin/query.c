#include "admin/query.h"

#include <stdio.h>
#include <string.h>
#include "conf/suggest.h"
#include "shm/pool.h"

#define NAME_SHOWN 63u
#define PART_MAX   1000000

/* ---- names ---- */

static bool is_known(const char *known, const char *name, size_t len)
{
    for (const char *at = known; *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == len && memcmp(at, name, len) == 0)
            return true;
        at += word;
    }
    return false;
}

static void offer_all(struct suggest *s, char *words)
{
    char *state;
    for (char *word = strtok_r(words, " ", &state); word; word = strtok_r(NULL, " ", &state))
        suggest_offer(s, word);
}

static void refuse(const char *known, const char *name, struct response *r)
{
    char words[128];
    struct suggest s;
    if (!*known) {
        response_problem(r, 400, "bad-request",
                         "unknown query parameter \"%s\": this endpoint takes none", name);
        return;
    }
    snprintf(words, sizeof words, "%s", known);
    suggest_init(&s, name);
    offer_all(&s, words);
    response_problem(
        r, 400, "bad-request", "unknown query parameter \"%s\"%s%s%s: this endpoint takes %s", name,
        s.best ? ", did you mean \"" : "", s.best ? s.best : "", s.best ? "\"?" : "", known);
}

/* Did a parameter before `at` have that name? */
static bool is_repeated(const char *query, const char *at, size_t len)
{
    for (const char *p = query; p < at; p += strcspn(p, "&") + 1)
        if (strcspn(p, "=&") == len && memcmp(p, at, len) == 0)
            return true;
    return false;
}

bool query_check(const struct request *q, const char *known, struct response *r)
{
    known = known ? known : "";
    for (const char *at = q->query; *at; at += *at == '&') {
        size_t len = strcspn(at, "=&");
        char name[NAME_SHOWN + 1];
        snprintf(name, sizeof name, "%.*s", (int)(len < NAME_SHOWN ? len : NAME_SHOWN), at);
        if (len && !is_known(known, at, len)) {
            refuse(known, name, r);
            return false;
        }
        if (len && is_repeated(q->query, at, len)) {
            response_problem(r, 400, "bad-request", "query parameter \"%s\" is there twice", name);
            return false;
        }
        at += strcspn(at, "&");
    }
    return true;
}

/* ---- a part of a list ---- */

static bool read_number(const struct request *q, const char *name, uint32_t *out,
                        struct response *r)
{
    int64_t value = *out;
    if (request_query_int(q, name, &value) >= 0 && value >= 0 && value <= PART_MAX) {
        *out = (uint32_t)value;
        return true;
    }
    response_problem(r, 400, "bad-request", "%s must be a whole number from 0 to %d", name,
                     PART_MAX);
    return false;
}

bool query_part_read(const struct api *a, const struct request *q, struct query_part *part,
                     struct response *r)
{
    char name[NAME_MAX_BYTES] = "";
    int asked = request_query(q, "pool", name, sizeof name);
    *part = (struct query_part){.pool = INDEX_NONE, .limit = PART_MAX};
    if (asked != 0 && (asked < 0 || (part->pool = pool_find(a->table, name)) == INDEX_NONE)) {
        response_problem(r, 404, "no-such-object", "there is no pool %s", name);
        return false;
    }
    return read_number(q, "limit", &part->limit, r) && read_number(q, "offset", &part->offset, r);
}

uint32_t query_part_first(const struct query_part *part, uint32_t count)
{
    return part->offset < count ? part->offset : count;
}

uint32_t query_part_end(const struct query_part *part, uint32_t count)
{
    uint32_t first = query_part_first(part, count);
    return part->limit < count - first ? first + part->limit : count;
}
