/* Nanoseconds per pick for each algorithm in pools of 10 to 10,000 idle backends; one process, one
 * view. */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "tests/unit/worker/lb_fixture.h"

#define RUN_US 40000u /* per figure */
#define BATCH  256u

static const uint32_t sizes[] = {10, 100, 1000, 10000};

static double measure(struct fixture *f)
{
    volatile uint32_t sink = 0;
    uint64_t picks = 0, start_us = clock_mono_us(), now_us = start_us;
    while (now_us - start_us < RUN_US) {
        for (uint32_t i = 0; i < BATCH; i++)
            sink = fixture_pick(f);
        picks += BATCH;
        now_us = clock_mono_us();
    }
    (void)sink;
    return (double)(now_us - start_us) * 1000.0 / (double)picks;
}

static double measure_size(const struct lb_algorithm *a, uint32_t backends)
{
    struct fixture f;
    fixture_open(&f);
    for (uint32_t i = 0; i < backends; i++)
        fixture_add(&f, 1 + i % 4, false);
    fixture_view(&f, a->name);
    measure(&f); /* warms up */
    double ns = measure(&f);
    lb_view_free(&f.view);
    table_close(&f.table);
    return ns;
}

int main(void)
{
    printf("| ns per pick at backends |");
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
        printf(" %u |", sizes[i]);
    printf("\n| --- | --- | --- | --- | --- |\n");
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        printf("| `%s` |", lb_algorithms[a]->name);
        for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
            printf(" %.0f |", measure_size(lb_algorithms[a], sizes[i]));
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
