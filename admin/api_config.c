#include "admin/api.h"

#include <stdlib.h>
#include <string.h>
#include "admin/endpoint.h"
#include "admin/reload.h"

void api_config(struct api *a, const struct request *q, struct response *r)
{
    char *text = conf_dump_json(a->conf);
    (void)q;
    if (text)
        response_text(r, "application/json", text, strlen(text));
    else
        response_problem(r, 503, "no-memory", "out of memory");
}

void api_reload(struct api *a, const struct request *q, struct response *r)
{
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
