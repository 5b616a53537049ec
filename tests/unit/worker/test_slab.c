/* worker/slab.h: objects are distinct, aligned, large enough, and reused. */
#include "worker/slab.h"

#include "tests/unit/harness.h"

#define MANY 1000

static void *got[MANY];

TEST(objects_do_not_overlap)
{
    struct slab s;
    slab_init(&s, 100);
    for (int i = 0; i < MANY; i++) {
        got[i] = slab_get(&s);
        CHECK(got[i]);
        memset(got[i], i & 0xff, 100);
    }
    CHECK_EQ(s.in_use, MANY);
    for (int i = 0; i < MANY; i++)
        for (int b = 0; b < 100; b++)
            CHECK_EQ(((unsigned char *)got[i])[b], i & 0xff);
    for (int i = 0; i < MANY; i++)
        slab_put(&s, got[i]);
    CHECK_EQ(s.in_use, 0);
    slab_free_all(&s);
}

TEST(objects_are_aligned_for_anything)
{
    struct slab s;
    slab_init(&s, 1);
    for (int i = 0; i < 100; i++) {
        got[i] = slab_get(&s);
        CHECK_EQ((uintptr_t)got[i] % _Alignof(max_align_t), 0);
    }
    for (int i = 0; i < 100; i++)
        slab_put(&s, got[i]);
    slab_free_all(&s);
}

#ifndef __SANITIZE_ADDRESS__ /* under it every object is its own allocation */
TEST(what_was_put_back_comes_again)
{
    struct slab s;
    slab_init(&s, 64);
    void *first = slab_get(&s);
    CHECK(first);
    for (int i = 0; i < 10000; i++) {
        slab_put(&s, first);
        CHECK(slab_get(&s) == first);
    }
    CHECK_EQ(s.in_use, 1);
    slab_put(&s, first);
    slab_free_all(&s);
    CHECK(!s.free && !s.chunks);
}
#endif
