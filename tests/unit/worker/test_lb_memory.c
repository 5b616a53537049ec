/* Without memory nobody is chosen by what belongs to others. */
#include "tests/unit/harness.h"
#include "tests/unit/worker/lb_fixture.h"

static int builds, fails;

static int build(struct lb_view *v UNUSED)
{
    builds++;
    return fails ? -1 : 0;
}

static uint32_t select_first(const struct lb_view *v, const struct lb_request *r UNUSED)
{
    return v->count ? v->members[0].entry : INDEX_NONE;
}

TEST(a_view_that_could_not_be_built_has_nobody)
{
    static const struct lb_algorithm poor = {
        .name = "poor", .build = build, .select = select_first};
    struct lb_request r = {0};
    struct fixture f = {0};
    fixture_open(&f);
    uint32_t first = fixture_add(&f, 1, false);
    lb_view_init(&f.view, &f.table, f.pool, &poor);
    CHECK_EQ(lb_view_refresh(&f.view, 0), 0);
    CHECK_EQ(poor.select(&f.view, &r), first);
    fails = 1;
    (void)fixture_add(&f, 1, false);
    CHECK_EQ(lb_view_refresh(&f.view, 0), -1);
    CHECK_EQ(poor.select(&f.view, &r), INDEX_NONE);
    fails = 0;
    CHECK_EQ(lb_view_refresh(&f.view, 0), 0); /* without another change */
    CHECK_EQ(f.view.count, 2);
    CHECK_EQ(builds, 3);
    lb_view_free(&f.view);
    table_close(&f.table);
}
