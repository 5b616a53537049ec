/*
 * admin/api.h: what every handler may see, and the handlers themselves, one file per noun
 * (api_<noun>.c). A handler reads the table and the configuration, and changes nothing but admin's
 * own words of the table; it never blocks and never talks to another process but through reload.h.
 */
#ifndef BALLAST_ADMIN_API_H
#define BALLAST_ADMIN_API_H

#include "admin/request.h"
#include "admin/response.h"
#include "conf/conf.h"
#include "shm/table.h"

struct query_part;
struct rate;
struct reload;

struct api {
    struct table *table;
    const struct conf *conf; /* the generation this process serves */
    uint32_t slot;           /* ours, for the flight recorder */
    bool draining;
    struct rate *rate;
    struct reload *reload;
    char *reloads;              /* the master's list of the last ones, JSON; NULL: none yet */
    void (*changed)(void *arg); /* a request changed something in the table; may be NULL */
    int (*upgrade)(void *arg);  /* asks the master: 0, or -1 */
    void *changed_arg;
};

typedef void api_handler(struct api *a, const struct request *q, struct response *r);

/* api_health.c */
api_handler api_health;
/* api_stats.c */
api_handler api_stats;
/* api_backends.c, api_add.c */
api_handler api_backends_list, api_backends_get;
api_handler api_backends_enable, api_backends_disable, api_backends_drain, api_backends_weight;
api_handler api_backends_add, api_backends_remove;
/* api_services.c */
api_handler api_services_list, api_services_get, api_services_instance;
api_handler api_services_put, api_services_remove;
/* api_change.c */
api_handler api_backends_revert;
/* api_config.c */
api_handler api_config, api_reload, api_reloads, api_upgrade, api_index;
/* api_events.c */
api_handler api_events;
/* api_cache.c */
api_handler api_cache, api_cache_delete, api_cache_purge;
/* api_leases.c */
api_handler api_leases;
/* api_rows.c */
api_handler api_pools, api_listeners, api_workers;
/* metrics.c */
api_handler api_metrics;
/* probes.c */
api_handler probes_health, probes_live, probes_ready, probes_detailed;
/* page.c */
api_handler page_dashboard;

/* Objects that stand in several answers. */
void api_backends_write(struct json *j, const struct api *a, uint32_t entry);
/* An array of the part; how many there are to ask for. */
uint32_t api_backends_write_part(struct json *j, const struct api *a,
                                 const struct query_part *part);
void api_rows_workers_write(struct json *j, const struct table *t); /* an array */
void api_rates_write(struct json *j, const struct api *a);          /* an array */
void api_cache_write_counts(struct json *j, const struct table *t); /* members */
/* The pools that take no requests and the workers that are missing, as sentences. How many pools
 * have no usable backend. */
uint32_t api_health_reasons(struct json *j, const struct api *a, bool *degraded);

/* The backend that a request is about, under the table's lock; INDEX_NONE with a 404 in r, or a
 * 412: its If-Match names another state. */
uint32_t api_change_begin(const struct api *a, const struct request *q,
                          struct response *r) MUST_CHECK;
/* 200, the backend and its ETag. */
void api_change_answer(struct response *r, const struct api *a, uint32_t entry);
/* configured, override and observed. */
void api_change_write_layers(struct json *j, const struct table *t, uint32_t entry);
/* Does If-Match (RFC 9110 13.1.1) allow a change of what has this tag? Else a 412 in r. */
bool api_change_allowed(const struct request *q, const char *etag, struct response *r);

/* What ?now= asks for: 1 what is in flight is cut off, 0 it is not; -1 with a 400 in r. */
int api_cut_asked(const struct request *q, struct response *r) MUST_CHECK;

/* One admin action for the flight recorder: "POST /lb/... from PEER". */
void api_record(const struct api *a, const struct request *q, const char *object, const char *from,
                const char *to, const char *what);
/* The backend of {id}, or INDEX_NONE with a 404 in r. */
uint32_t api_backend_of(const struct api *a, const struct request *q,
                        struct response *r) MUST_CHECK;

#endif
