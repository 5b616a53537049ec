/*
 * The probes that other systems ask: is this process alive, is the balancer ready for traffic, and
 * what is wrong if anything. A probe is a list of checks; each says pass, or fail with a sentence.
 */
#include "admin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include "admin/probes_host.h"
#include "admin/view.h"
#include "base/clock.h"
#include "shm/slot.h"

static void answer_status(struct response *r, const char *status)
{
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_kv_string(j, "status", status);
    json_object_end(j);
}

void probes_health(struct api *a, const struct request *q, struct response *r)
{
    (void)a;
    (void)q;
    answer_status(r, "healthy");
}

void probes_live(struct api *a, const struct request *q, struct response *r)
{
    (void)a;
    (void)q;
    answer_status(r, "alive");
}

/* ---- checks: true, or false with a sentence ---- */

typedef bool probe_check(const struct api *a, char *why, size_t why_cap);

static bool check_configuration(const struct api *a, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "no configuration is in service yet");
    return a->conf && word_get(&a->table->header->generation) > 0;
}

static bool check_accepting(const struct api *a, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "stopping: no new connections");
    return !a->draining;
}

static bool check_master(const struct api *a, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "the master process is gone");
    return table_master_alive(a->table);
}

static bool check_workers(const struct api *a, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "no worker is ready");
    return view_workers_ready(a->table) > 0;
}

static bool check_all_workers(const struct api *a, char *why, size_t why_cap)
{
    uint32_t ready = view_workers_ready(a->table), wanted = word_get(&a->table->header->workers);
    snprintf(why, why_cap, "%u of %u workers ready", ready, wanted);
    return ready >= wanted;
}

/* A process that is there and does not move is stuck. */
static bool check_heartbeats(const struct api *a, char *why, size_t why_cap)
{
    uint32_t slowest;
    uint64_t silence_us = view_silence_us(a->table, &slowest);
    view_silence_text(a->table, slowest, silence_us, why, why_cap);
    return silence_us < VIEW_SILENT_US;
}

static bool check_health_process(const struct api *a, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "the health process is not running: states are not updated");
    return word_get(&a->table->slots[SLOT_HEALTH_INDEX].state) == SLOT_READY;
}

/* Ready means that somebody can be served; a single pool that is down does not make the others
 * useless. */
static bool check_backends(const struct api *a, char *why, size_t why_cap)
{
    uint32_t count, usable = 0;
    uint32_t *pools = view_pools(a->table, &count);
    for (uint32_t i = 0; pools && i < count; i++)
        usable += pool_has_usable(a->table, pools[i]);
    free(pools);
    snprintf(why, why_cap, "no pool has a usable backend");
    return usable > 0;
}

/* ---- writing ---- */

static bool write_result(struct json *j, const char *name, bool pass, uint64_t begun_us,
                         const char *why)
{
    json_key(j, name);
    json_object_begin(j);
    json_kv_string(j, "status", pass ? "pass" : "fail");
    json_kv_double(j, "time_ms", (double)(clock_mono_us() - begun_us) / 1e3);
    if (!pass)
        json_kv_string(j, "error", why);
    json_object_end(j);
    return pass;
}

static bool run_check(struct json *j, const char *name, probe_check *check, const struct api *a)
{
    char why[160] = "";
    uint64_t begun_us = clock_mono_us();
    bool pass = check(a, why, sizeof(why));
    return write_result(j, name, pass, begun_us, why);
}

static struct json *begin_checks(struct response *r)
{
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_key(j, "checks");
    json_object_begin(j);
    return j;
}

void probes_ready(struct api *a, const struct request *q, struct response *r)
{
    struct json *j = begin_checks(r);
    (void)q;
    bool ready = run_check(j, "configuration", check_configuration, a);
    ready &= run_check(j, "accepting", check_accepting, a);
    ready &= run_check(j, "workers", check_workers, a);
    ready &= run_check(j, "backends", check_backends, a);
    json_object_end(j);
    json_kv_string(j, "status", ready ? "ready" : "not_ready");
    json_object_end(j);
    if (!ready)
        r->status = 503;
}

static bool run_pool_checks(struct json *j, const struct api *a)
{
    uint32_t count;
    uint32_t *pools = view_pools(a->table, &count);
    bool all = true;
    for (uint32_t i = 0; pools && i < count; i++) {
        char name[NAME_MAX_BYTES + 8];
        uint64_t begun_us = clock_mono_us();
        snprintf(name, sizeof(name), "pool:%.*s", (int)NAME_MAX_BYTES,
                 pool_at(a->table, pools[i])->name);
        all &= write_result(j, name, pool_has_usable(a->table, pools[i]), begun_us,
                            "no usable backend");
    }
    free(pools);
    return all;
}

void probes_detailed(struct api *a, const struct request *q, struct response *r)
{
    static const struct {
        const char *name;
        probe_check *check;
    } checks[] = {
        {"configuration", check_configuration},
        {"accepting", check_accepting},
        {"master", check_master},
        {"workers", check_all_workers},
        {"heartbeats", check_heartbeats},
        {"health_process", check_health_process},
        {"memory", probes_host_memory},
        {"disk", probes_host_disk},
    };
    struct json *j = begin_checks(r);
    bool all = true;
    (void)q;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        all &= run_check(j, checks[i].name, checks[i].check, a);
    all &= run_pool_checks(j, a);
    json_object_end(j);
    json_kv_string(j, "status", all ? "healthy" : "degraded");
    json_kv_string(j, "version", BALLAST_VERSION);
    json_kv_uint(j, "generation", word_get(&a->table->header->generation));
    json_kv_double(j, "uptime_seconds",
                   (double)(clock_mono_us() - a->table->header->started_mono_us) / 1e6);
    json_object_end(j);
}
