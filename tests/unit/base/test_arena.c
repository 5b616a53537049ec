#include "tests/unit/harness.h"

#include <sys/resource.h>
#include "base/arena.h"

static bool is_zero(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return false;
    return true;
}

TEST(objects_are_zeroed_aligned_and_apart)
{
    struct arena a;
    char *objects[500];
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        size_t len = 1 + i * 7 % 900;
        objects[i] = arena_alloc(&a, len);
        CHECK_EQ((uintptr_t)objects[i] % 16, 0);
        CHECK(is_zero(objects[i], len));
        memset(objects[i], (int)(i % 251) + 1, len);
    }
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        for (size_t k = 0; k < 1 + i * 7 % 900; k++)
            CHECK_EQ((unsigned char)objects[i][k], i % 251 + 1);
    arena_free(&a);
    CHECK_EQ(a.used_bytes, 0);
}

TEST(large_objects_keep_the_current_chunk)
{
    struct arena a;
    arena_init(&a);
    char *small = arena_alloc(&a, 16);
    char *large = arena_alloc(&a, 1 << 20);
    char *next = arena_alloc(&a, 16);
    CHECK(is_zero(large, 1 << 20));
    CHECK_EQ(next - small, 16);
    arena_free(&a);
}

TEST(a_large_first_object)
{
    struct arena a;
    arena_init(&a);
    memset(arena_alloc(&a, 100000), 1, 100000);
    memset(arena_alloc(&a, 100), 2, 100);
    CHECK(a.used_bytes >= 100100);
    arena_free(&a);
}

TEST(empty_objects_are_places_of_their_own)
{
    struct arena a;
    arena_init(&a);
    CHECK(arena_alloc(&a, 0) != arena_alloc(&a, 0));
    arena_free(&a);
}

TEST(texts)
{
    struct arena a;
    arena_init(&a);
    CHECK_STR(arena_strdup(&a, ""), "");
    CHECK_STR(arena_strdup(&a, "abc"), "abc");
    CHECK_STR(arena_strndup(&a, "abcdef", 3), "abc");
    CHECK_STR(arena_printf(&a, "%s-%d", "x", 42), "x-42");
    char *text = arena_printf(&a, "%10000d", 7);
    CHECK_EQ(strlen(text), 10000);
    arena_free(&a);
}

TEST(a_fixed_arena_uses_its_memory_only)
{
    static _Alignas(16) char memory[256];
    struct arena a;
    memset(memory, 'x', sizeof memory);
    arena_init_fixed(&a, memory, sizeof memory);
    for (int i = 0; i < 16; i++) {
        char *p = arena_alloc(&a, 9);
        CHECK(p == memory + 16 * i);
        CHECK(is_zero(p, 16));
    }
    CHECK_EQ(a.used_bytes, sizeof memory);
    arena_free(&a); /* frees nothing */
}

static int status_of(void (*run)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        run();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void overfill(void)
{
    static _Alignas(16) char memory[64];
    struct arena a;
    arena_init_fixed(&a, memory, sizeof memory);
    arena_alloc(&a, 65);
}

static void ask_too_much(void)
{
    struct arena a;
    arena_init(&a);
    arena_alloc(&a, SIZE_MAX - 8); /* would wrap when rounded up */
}

TEST(what_cannot_be_given_aborts)
{
    int full = status_of(overfill), wrapped = status_of(ask_too_much);
    CHECK(WIFSIGNALED(full) && WTERMSIG(full) == SIGABRT);
    CHECK(WIFSIGNALED(wrapped) && WTERMSIG(wrapped) == SIGABRT);
}
