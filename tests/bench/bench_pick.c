/*
 * Nanoseconds per pick for each algorithm in pools of 10 to 10,000 backends; one process, one view.
 * First the pick alone; then with its place reserved and given back (64 requests are in flight at
 * any time), which is what a request costs: the algorithms that go by load do their work there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/unit/worker/lb_fixture.h"

#define RUN_US 40000u /* per figure */
#define BATCH  256u
#define FLYING 64u

static const uint32_t sizes[] = {10, 100, 1000, 10000};

/* Of this process alone: others on the machine matter less. */
static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double measure(struct fixture *f)
{
    volatile uint32_t sink = 0;
    uint64_t picks = 0, start_us = cpu_us(), now_us = start_us;
    while (now_us - start_us < RUN_US) {
        for (uint32_t i = 0; i < BATCH; i++)
            sink = fixture_pick(f);
        picks += BATCH;
        now_us = cpu_us();
    }
    (void)sink;
    return (double)(now_us - start_us) * 1000.0 / (double)picks;
}

static void release(struct fixture *f, uint32_t entry)
{
    if (entry != INDEX_NONE)
        entry_release(&f->table, entry, 0);
}

static double measure_requests(struct fixture *f)
{
    uint32_t flying[FLYING], at = 0;
    uint64_t picks = 0, start_us = cpu_us(), now_us = start_us;
    memset(flying, 0xff, sizeof flying);
    while (now_us - start_us < RUN_US) {
        for (uint32_t i = 0; i < BATCH; i++, at = (at + 1) % FLYING) {
            release(f, flying[at]);
            flying[at] = fixture_take(f, 0);
        }
        picks += BATCH;
        now_us = cpu_us();
    }
    for (uint32_t i = 0; i < FLYING; i++)
        release(f, flying[i]);
    return (double)(now_us - start_us) * 1000.0 / (double)picks;
}

static double measure_size(const struct lb_algorithm *a, uint32_t backends,
                           double (*measure_one)(struct fixture *f))
{
    struct fixture f;
    fixture_open(&f);
    for (uint32_t i = 0; i < backends; i++)
        fixture_add(&f, 1 + i % 4, false);
    fixture_view(&f, a->name);
    measure_one(&f); /* warms up */
    double ns = measure_one(&f);
    lb_view_free(&f.view);
    table_close(&f.table);
    return ns;
}

static void print_table(const char *what, double (*measure_one)(struct fixture *f))
{
    printf("| %s |", what);
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
        printf(" %u |", sizes[i]);
    printf("\n| --- | --- | --- | --- | --- |\n");
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        printf("| `%s` |", lb_algorithms[a]->name);
        for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
            printf(" %.0f |", measure_size(lb_algorithms[a], sizes[i], measure_one));
        printf("\n");
        fflush(stdout);
    }
}

int main(void)
{
    print_table("ns per pick at backends", measure);
    printf("\n");
    print_table("ns per pick, reserve and release", measure_requests);
    return 0;
}
