/*
 * admin/query.h: what may stand behind the '?' of a path under /lb. A name that the endpoint does
 * not know is refused, as are two values for one: an answer that ignores half of the question looks
 * like an answer. And the part of a list that is asked for: ?pool=, ?limit=, ?offset=.
 */
#ifndef BALLAST_ADMIN_QUERY_H
#define BALLAST_ADMIN_QUERY_H

#include "admin/api.h"

/* Are all names of the query among `known`, separated by blanks (NULL: none)? Else a 400 in r. */
bool query_check(const struct request *q, const char *known, struct response *r) MUST_CHECK;

/* Which rows of a list are asked for. */
struct query_part {
    uint32_t pool; /* row; INDEX_NONE: all of them */
    uint32_t limit, offset;
};
#define QUERY_PART "pool limit offset"
/* Reads all three; false with a 400 or 404 in r. */
bool query_part_read(const struct api *a, const struct request *q, struct query_part *part,
                     struct response *r) MUST_CHECK;
/* Of a list of so many: the first that is asked for, and one behind the last. */
uint32_t query_part_first(const struct query_part *part, uint32_t count);
uint32_t query_part_end(const struct query_part *part, uint32_t count);

#endif
