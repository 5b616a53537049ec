/* admin/metrics_tls.c: certificates of listeners, as the configuration that serves has them. */
#include <stdlib.h>
#include <string.h>
#include "admin/metrics.h"
#include "conf/tls.h"

#define PATH_SHOWN_BYTES 90u /* of a long one the end, which tells it from the others */

static const char *path_of(const struct conf_certificate *c)
{
    return *c->pem ? c->pem : c->cert;
}

static int by_path(const void *a, const void *b)
{
    const struct conf_certificate *const *x = a, *const *y = b;
    return strcmp(path_of(*x), path_of(*y));
}

static void load_one(struct metrics_certificate *o, const char *listener,
                     const struct conf_certificate *c)
{
    const char *path = path_of(c);
    size_t len = strlen(path);
    metrics_label(&o->labels, "listener", listener);
    metrics_label(&o->labels, "certificate",
                  len > PATH_SHOWN_BYTES ? path + len - PATH_SHOWN_BYTES : path);
    o->expires_s = c->expires_s;
}

/* What is named twice is there once: no two series may be the same. */
static void load_listener(struct metrics_set *s, const struct conf_listener *l,
                          const struct conf_certificate **sorted)
{
    uint32_t count = l->tls ? l->tls->certificate_count : 0;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &l->tls->certificates[i];
    qsort(sorted, count, sizeof(const struct conf_certificate *), by_path);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || strcmp(path_of(sorted[i]), path_of(sorted[i - 1])) != 0)
            load_one(
                (struct metrics_certificate *)(void *)(s->objects + s->stride_bytes * s->count++),
                l->name, sorted[i]);
}

int metrics_load_certificates(struct metrics_copy *m, const struct conf *conf)
{
    struct metrics_set *s = &m->sets[SCOPE_CERTIFICATE];
    uint32_t total = 0;
    for (uint32_t i = 0; i < conf->listener_count; i++)
        total += conf->listeners[i].tls ? conf->listeners[i].tls->certificate_count : 0;
    s->stride_bytes = sizeof(struct metrics_certificate);
    s->cap = total;
    s->objects = calloc((size_t)total + 1, s->stride_bytes);
    const struct conf_certificate **sorted = calloc((size_t)total + 1, sizeof *sorted);
    for (uint32_t i = 0; s->objects && sorted && i < conf->listener_count; i++)
        load_listener(s, &conf->listeners[i], sorted);
    free(sorted);
    return s->objects && sorted ? 0 : -1;
}
