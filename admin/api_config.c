#include "admin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/endpoint.h"
#include "admin/reload.h"
#include "shm/events.h"

#define TAG_BYTES 16

static char *tag_of(const struct api *a, char out[TAG_BYTES])
{
    snprintf(out, TAG_BYTES, "\"g%u\"", a->conf->generation);
    return out;
}

void api_config(struct api *a, const struct request *q, struct response *r)
{
    char *text = conf_dump_json(a->conf), tag[TAG_BYTES];
    (void)q;
    if (!text) {
        response_problem(r, 503, "no-memory", "out of memory");
        return;
    }
    response_text(r, "application/json", text, strlen(text));
    response_header(r, "ETag", "%s", tag_of(a, tag));
}

void api_reloads(struct api *a, const struct request *q, struct response *r)
{
    const char *list = a->reloads ? a->reloads : "[]";
    char *text;
    (void)q;
    int len = asprintf(&text, "{\"generation\":%u,\"reloads\":%s}", a->conf->generation, list);
    if (len >= 0)
        response_text(r, "application/json", text, (size_t)len);
    else
        response_problem(r, 503, "no-memory", "out of memory");
}

void api_reload(struct api *a, const struct request *q, struct response *r)
{
    char tag[TAG_BYTES];
    if (!api_change_allowed(q, tag_of(a, tag), r))
        return;
    if (a->draining) {
        response_problem(r, 503, "stopping", "the balancer is stopping");
        return;
    }
    r->ticket = reload_join(a->reload);
    if (r->ticket == 0) {
        response_problem(r, 503, "master-unreachable", "the master process could not be asked");
        return;
    }
    api_record(a, q, "configuration", NULL, NULL, "reload asked");
    response_defer(r, RESPONSE_WAIT_RELOAD, RELOAD_WAIT_MS);
}

void api_upgrade(struct api *a, const struct request *q, struct response *r)
{
    if (a->conf->admin.token[0] == '\0') {
        response_problem(r, 403, "token-needed", "an upgrade by the API needs admin.token_file");
        return;
    }
    if (a->draining || !a->upgrade || a->upgrade(a->changed_arg) != 0) {
        response_problem(r, 503, "master-unreachable", "the master process could not be asked");
        return;
    }
    api_record(a, q, "ballast", NULL, NULL, "upgrade asked");
    struct json *j = response_json(r, 202);
    json_object_begin(j);
    json_kv_uint(j, "since", event_last(a->table));
    json_object_end(j);
}

void api_index(struct api *a, const struct request *q, struct response *r)
{
    struct json *j = response_json(r, 200);
    (void)a;
    (void)q;
    json_object_begin(j);
    json_kv_string(j, "name", "ballast");
    json_kv_string(j, "version", BALLAST_VERSION);
    json_key(j, "endpoints");
    endpoint_list(j);
    json_object_end(j);
}
