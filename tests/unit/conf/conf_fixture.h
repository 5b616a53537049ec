/*
 * tests/unit/conf/conf_fixture.h: loading texts and files in a test. The configuration lands in a
 * range of its own, as it does in a running instance; everything else is freed at the end of the
 * process.
 */
#ifndef BALLAST_TESTS_CONF_FIXTURE_H
#define BALLAST_TESTS_CONF_FIXTURE_H

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include "conf/conf.h"
#include "conf/walk.h"
#include "tests/unit/harness.h"

#define FIXTURE_BYTES (32u << 20)

struct fixture {
    struct arena arena, errors_arena;
    struct conf_errors errors;
    char *memory;
    struct conf *conf;
};
__attribute__((unused)) static struct fixture fixture_one, fixture_two;

/* No name server in a test: "*.test" is 192.0.2.1, nothing else exists. */
__attribute__((unused)) static int fixture_resolve(const char *text, struct net_addr *out,
                                                   char *why, size_t why_cap)
{
    const char *dot = strstr(text, ".test:");
    char numeric[64];
    snprintf(numeric, sizeof numeric, "192.0.2.1:%s", dot ? dot + 6 : "0");
    if (dot && net_addr_parse(numeric, out, why, why_cap) == 0)
        return 0;
    snprintf(why, why_cap, "no such host");
    return -1;
}

/* As for root, on a machine without a user "ballast". */
__attribute__((unused)) static bool fixture_user_missing(const char *name)
{
    return strcmp(name, "root") != 0 && strcmp(name, "nobody") != 0;
}

__attribute__((unused)) static void fixture_init(struct fixture *f)
{
    if (f->memory)
        arena_free(&f->errors_arena);
    else
        f->memory = malloc(FIXTURE_BYTES);
    CHECK(f->memory);
    arena_init_fixed(&f->arena, f->memory, FIXTURE_BYTES);
    arena_init(&f->errors_arena);
    conf_errors_init(&f->errors, &f->errors_arena);
    walk_system = (struct walk_system){fixture_resolve, fixture_user_missing};
}

__attribute__((unused)) static void fixture_free(struct fixture *f)
{
    arena_free(&f->errors_arena);
    free(f->memory);
    f->memory = NULL;
}

__attribute__((unused)) static struct conf *load_into(struct fixture *f, const char *text)
{
    fixture_init(f);
    f->conf = conf_load_text(text, "t", &f->arena, &f->errors);
    if (!f->conf)
        fprintf(stderr, "%s", conf_errors_format(&f->errors));
    CHECK_EQ(f->conf == NULL, f->errors.count > 0);
    return f->conf;
}

/* Loads a text that must be right. */
__attribute__((unused)) static const struct conf *load_good(const char *text)
{
    const struct conf *c = load_into(&fixture_one, text);
    CHECK(c != NULL);
    return c;
}

/* The errors of a text named "t" that must be wrong. */
__attribute__((unused)) static const char *load_bad(const char *text)
{
    struct fixture *f = &fixture_one;
    fixture_init(f);
    CHECK(conf_load_text(text, "t", &f->arena, &f->errors) == NULL);
    return conf_errors_format(&f->errors);
}

/* The errors of a listener and a pool that say this besides what is needed. */
__attribute__((unused)) static const char *bad_listener(const char *settings)
{
    char text[4096];
    snprintf(text, sizeof text,
             "pools = { app = { backends = [ ] } }\n"
             "listeners = { web = { bind = \"*:80\", pool = \"app\"\n%s\n} }",
             settings);
    return load_bad(text);
}

__attribute__((unused)) static const char *bad_pool(const char *settings)
{
    char text[4096];
    snprintf(text, sizeof text,
             "listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
             "pools = { app = { backends = [ ]\n%s\n} }",
             settings);
    return load_bad(text);
}

#define MINIMAL                                                                                    \
    "listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"                                  \
    "pools = { app = { backends = [ ] } }\n"

__attribute__((unused)) static const char *bad_top(const char *settings)
{
    char text[4096];
    snprintf(text, sizeof text, MINIMAL "%s", settings);
    return load_bad(text);
}

/* ---- files: in a directory of the test's own, removed with it ---- */

static char fixture_dir[64];

static int remove_entry(const char *path, const struct stat *st UNUSED, int kind UNUSED,
                        struct FTW *at UNUSED)
{
    return remove(path);
}

static void remove_dir(void)
{
    if (*fixture_dir)
        nftw(fixture_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes the directory the working directory, so that messages name files shortly. */
__attribute__((unused)) static void enter_dir(void)
{
    snprintf(fixture_dir, sizeof fixture_dir, "/tmp/ballast-conf-XXXXXX");
    CHECK(mkdtemp(fixture_dir) != NULL);
    CHECK(chdir(fixture_dir) == 0);
    atexit(remove_dir);
}

__attribute__((unused)) static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd != -1);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    CHECK(close(fd) == 0);
}

__attribute__((unused)) static const struct conf *load_file(const char *path)
{
    struct fixture *f = &fixture_one;
    fixture_init(f);
    f->conf = conf_load(path, &f->arena, &f->errors);
    if (!f->conf)
        fprintf(stderr, "%s", conf_errors_format(&f->errors));
    return f->conf;
}

__attribute__((unused)) static const char *bad_file(const char *path)
{
    struct fixture *f = &fixture_one;
    fixture_init(f);
    CHECK(conf_load(path, &f->arena, &f->errors) == NULL);
    return conf_errors_format(&f->errors);
}

#endif
