/*
 * admin/endpoint.h: the endpoints as rows: method, path pattern, does it change anything, help,
 * handler. Dispatch, Allow, the list in GET /lb and in every 404, and docs/api.md come from the
 * rows and from nothing else.
 */
#ifndef BALLAST_ADMIN_ENDPOINT_H
#define BALLAST_ADMIN_ENDPOINT_H

#include "admin/api.h"

struct endpoint {
    unsigned method;  /* enum request_method; a GET row answers HEAD too */
    const char *path; /* "/lb/backends/{id}/enable" */
    bool mutates; /* needs the token when one is set, and an Origin of our own when one is sent */
    const char *help;
    api_handler *handler;
    const char *query; /* names of the parameters that it takes; NULL: none */
};

/* All rows; *count of them. */
const struct endpoint *endpoint_rows(size_t *count);

/*
 * Everything that can be said before the body is there: Host, path, method, Origin, token, the
 * names in the query. Returns the row, with q->id filled, or NULL with the refusal in r.
 */
const struct endpoint *endpoint_find(const struct api *a, struct request *q, struct response *r);
/* Finds and runs: the whole way from a request to its response. */
void endpoint_answer(struct api *a, struct request *q, struct response *r);

/* Writes the rows as an array of {method, path, mutates, help}. */
void endpoint_list(struct json *j);

#endif
