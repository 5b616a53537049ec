/* cli/load_report.c: what `ballast load` found out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "cli/load.h"

const char *const load_failure_names[LOAD_FAILURES] = {"connect", "closed", "timeout", "malformed"};

static const struct {
    const char *name;
    double q;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};

uint64_t load_failed(const struct load_result *r)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < LOAD_FAILURES; i++)
        sum += r->failures[i];
    return sum;
}

static double elapsed_s(const struct load_result *r)
{
    return (double)(r->ended_us - r->started_us) / 1e6;
}

static double per_second(const struct load_result *r)
{
    return elapsed_s(r) > 0 ? (double)r->answered / elapsed_s(r) : 0;
}

/* The answer that so many did not take longer than, exactly. */
static double quantile_ms(const struct load_result *r, double q)
{
    uint64_t at = (uint64_t)(q * (double)r->answered + 0.999999);

    if (r->answered == 0)
        return 0;
    at = at < 1 ? 1 : at > r->answered ? r->answered : at;
    return (double)r->took_us[at - 1] / 1e3;
}

static double mean_ms(const struct load_result *r)
{
    double sum = 0;

    for (uint64_t i = 0; i < r->answered; i++)
        sum += (double)r->took_us[i];
    return r->answered ? sum / (double)r->answered / 1e3 : 0;
}

/* ---- for people ---- */

static void print_servers(const struct load_plan *p, const struct load_result *r)
{
    if (r->server_count == 0)
        return;
    printf("answered by (%s):\n", p->by);
    for (uint32_t i = 0; i < r->server_count; i++)
        printf("  %-24s %9llu   %5.1f %%\n", r->servers[i].name,
               (unsigned long long)r->servers[i].count,
               100.0 * (double)r->servers[i].count / (double)r->answered);
    if (r->unnamed)
        printf("  %-24s %9llu\n", "(not said)", (unsigned long long)r->unnamed);
}

void load_report_text(const struct load_plan *p, const struct load_result *r)
{
    printf("%s: %llu answers in %.2f s, %.1f per second, %u at a time\n", p->url,
           (unsigned long long)r->answered, elapsed_s(r), per_second(r), p->concurrency);
    printf("status: ");
    for (unsigned i = 0; i < LOAD_STATUS_MAX; i++)
        if (r->statuses[i])
            printf("  %u x %llu", i, (unsigned long long)r->statuses[i]);
    printf("\nfailed:   %llu", (unsigned long long)load_failed(r));
    for (unsigned i = 0; i < LOAD_FAILURES; i++)
        if (r->failures[i])
            printf("   %s %llu", load_failure_names[i], (unsigned long long)r->failures[i]);
    printf("\nlatency:  mean %.2f ms", mean_ms(r));
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        printf("   %s %.2f ms", quantiles[i].name, quantile_ms(r, quantiles[i].q));
    printf("\n");
    print_servers(p, r);
}

/* ---- for programs ---- */

static void write_statuses(struct json *j, const struct load_result *r)
{
    char name[8];

    json_key(j, "statuses");
    json_object_begin(j);
    for (unsigned i = 0; i < LOAD_STATUS_MAX; i++) {
        if (!r->statuses[i])
            continue;
        snprintf(name, sizeof(name), "%u", i);
        json_kv_uint(j, name, r->statuses[i]);
    }
    json_object_end(j);
}

static void write_rest(struct json *j, const struct load_result *r)
{
    json_key(j, "failures");
    json_object_begin(j);
    for (unsigned i = 0; i < LOAD_FAILURES; i++)
        json_kv_uint(j, load_failure_names[i], r->failures[i]);
    json_object_end(j);
    json_key(j, "response_time"); /* seconds, as in the API */
    json_object_begin(j);
    json_kv_double(j, "mean", mean_ms(r) / 1e3);
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        json_kv_double(j, quantiles[i].name, quantile_ms(r, quantiles[i].q) / 1e3);
    json_object_end(j);
    json_key(j, "servers");
    json_object_begin(j);
    for (uint32_t i = 0; i < r->server_count; i++)
        json_kv_uint(j, r->servers[i].name, r->servers[i].count);
    json_object_end(j);
}

static void write_result(struct json *j, const struct load_plan *p, const struct load_result *r)
{
    uint64_t good = 0;

    for (unsigned i = 200; i < 400; i++)
        good += r->statuses[i];
    json_object_begin(j);
    json_kv_string(j, "url", p->url);
    json_kv_uint(j, "concurrency", p->concurrency);
    json_kv_uint(j, "requests", r->answered + load_failed(r));
    json_kv_uint(j, "successful_requests", good);
    json_kv_uint(j, "failed_requests", load_failed(r));
    json_kv_double(j, "elapsed_seconds", elapsed_s(r));
    json_kv_double(j, "requests_per_second", per_second(r));
    json_kv_uint(j, "body_bytes", r->body_bytes);
    write_statuses(j, r);
    write_rest(j, r);
    json_object_end(j);
}

int load_report_json(const struct load_plan *p, const struct load_result *r, const char *path)
{
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *out = to_stdout ? stdout : fopen(path, "we");
    struct json j;

    if (!out)
        return -1;
    json_init(&j);
    write_result(&j, p, r);
    fputs(json_finish(&j, NULL), out);
    fputc('\n', out);
    json_free(&j);
    if (to_stdout)
        return 0;
    bool lost = ferror(out) != 0;
    return fclose(out) == EOF || lost ? -1 : 0;
}
