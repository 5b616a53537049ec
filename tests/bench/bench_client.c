/*
 * Nanoseconds per pick of the client library, reported at once, in pools of 10 to 10,000 backends:
 * what a program pays instead of a hop. Clock, lock, copy of the address and report included. As
 * bench_pick, over a table of this process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "client/ballast_client.h"
#include "tests/unit/worker/lb_fixture.h"

#define RUN_US 40000u /* per figure */
#define BATCH  256u

static const uint32_t sizes[] = {10, 100, 1000, 10000};

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double measure(struct ballast_client *client)
{
    uint64_t picks = 0, start_us = cpu_us(), now_us = start_us;
    while (now_us - start_us < RUN_US) {
        for (uint32_t i = 0; i < BATCH; i++) {
            struct ballast_pick pick;
            uint64_t key = hash_mix64(picks + i);
            if (ballast_pick(client, "p", &key, sizeof key, &pick) != BALLAST_OK)
                exit(1);
            ballast_report(client, &pick, BALLAST_SUCCESS, 100);
        }
        picks += BATCH;
        now_us = cpu_us();
    }
    return (double)(now_us - start_us) * 1000.0 / (double)picks;
}

static struct ballast_client *open_client(void)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    char why[256], instance[32];
    options.stale_ms = 3600000; /* nobody shows signs of life here */
    snprintf(instance, sizeof instance, "pid:%d", (int)getpid());
    struct ballast_client *client = ballast_client_open(instance, &options, why, sizeof why);
    if (!client) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    return client;
}

static double measure_size(const struct lb_algorithm *a, uint32_t backends)
{
    struct fixture f;
    char why[256];
    if (table_create(&f.table, "", why, sizeof why) == -1)
        exit(1);
    table_lock(&f.table);
    f.pool = pool_add(&f.table, "p");
    table_unlock(&f.table);
    if (slot_claim(&f.table, 0, SLOT_WORKER, 0) == -1)
        exit(1);
    for (uint32_t i = 0; i < backends; i++)
        fixture_add(&f, 1 + i % 4, false);
    table_lock(&f.table);
    lb_prepare(&f.table, f.pool, a);
    pool_set_policy(&f.table, f.pool, lb_key_kind(a, "uri"), false);
    table_unlock(&f.table);
    slot_heartbeat(&f.table, 0, clock_mono_us());
    struct ballast_client *client = open_client();
    table_unlink(&f.table);
    measure(client); /* warms up */
    double ns = measure(client);
    ballast_client_close(client);
    table_close(&f.table);
    return ns;
}

int main(void)
{
    printf("| ns per pick and report at backends | 10 | 100 | 1000 | 10000 |\n");
    printf("| --- | --- | --- | --- | --- |\n");
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        printf("| `%s` |", lb_algorithms[a]->name);
        for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
            printf(" %.0f |", measure_size(lb_algorithms[a], sizes[i]));
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
