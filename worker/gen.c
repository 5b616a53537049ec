/*
 * worker/gen.c: a configuration generation as this worker uses it: the immutable configuration and,
 * per pool, the view of its backends. Built beside the current one when offered; freed when the
 * last request that began with it ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include "conf/regex.h"
#include "worker/sticky.h"
#include "worker/tls.h"
#include "worker/jwt_verify.h"
#include "worker/worker_int.h"

static void free_gen(struct gen *g)
{
    tls_servers_free(g);
    tls_clients_free(g);
    for (uint32_t i = 0; g->pools && i < g->conf->pool_count; i++) {
        lb_view_free(&g->pools[i].view);
        sticky_index_free(&g->pools[i].sticky);
    }
    free(g->pools);
    regex_set_free(g->regexes);
    jwt_keys_free(g);
    free(g);
}

static int add_pools(struct worker *w, struct gen *g, char *why, size_t why_cap)
{
    const struct conf *conf = g->conf;
    g->pools = calloc(conf->pool_count + 1, sizeof *g->pools);
    if (!g->pools) {
        snprintf(why, why_cap, "out of memory");
        return -1;
    }
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct lb_algorithm *algorithm = lb_find(conf->pools[i].balance);
        if (!algorithm) {
            snprintf(why, why_cap, "pool %s: no algorithm \"%s\"", conf->pools[i].name,
                     conf->pools[i].balance);
            return -1;
        }
        g->pools[i].conf = &conf->pools[i];
        if (conf->pools[i].breaker)
            g->pools[i].breaker = (struct breaker_rule){conf->pools[i].breaker->failure_threshold,
                                                        conf->pools[i].breaker->success_threshold,
                                                        conf->pools[i].breaker->timeout_ms};
        lb_view_init(&g->pools[i].view, w->table, conf->pools[i].row, algorithm);
    }
    return 0;
}

struct gen *gen_new(struct worker *w, const struct conf *conf, char *why, size_t why_cap)
{
    struct gen *g = calloc(1, sizeof *g);
    if (!g) {
        snprintf(why, why_cap, "out of memory");
        return NULL;
    }
    g->conf = conf;
    g->refs = 1;
    g->regexes = regex_set_new(conf);
    if (!g->regexes)
        snprintf(why, why_cap, "out of memory");
    if (!g->regexes || add_pools(w, g, why, why_cap) == -1 ||
        tls_servers_build(g, why, why_cap) == -1) {
        free_gen(g);
        return NULL;
    }
    for (uint32_t i = 0; i < conf->listener_count; i++)
        g->by_row[conf->listeners[i].row] = &conf->listeners[i];
    return g;
}

void gen_ref(struct gen *g)
{
    g->refs++;
}

void gen_unref(struct worker *w, struct gen *g)
{
    if (--g->refs > 0)
        return;
    const struct conf *conf = g->conf;
    free_gen(g);
    child_release(w->child, conf);
}

void gen_discard(struct gen *g)
{
    free_gen(g);
}
