/* The title in ps: written over argv and the environment behind it, which goes on working. */
#include <sys/prctl.h>
#include "proc/title.h"
#include "tests/unit/harness.h"

static char area[] = "prog\0arg one\0arg two\0PATH=/nowhere\0X=y";
static char *fake_argv[] = {area, area + 5, area + 13, NULL};
static char *fake_environ[] = {area + 21, area + 35, NULL};

static void begin(void)
{
    environ = fake_environ;
    title_init(3, fake_argv);
}

TEST(title_covers_arguments_and_environment)
{
    begin();
    title_set("worker 12 with a longish name", "short");
    CHECK_STR(area, "ballast: worker 12 with a longish name");
    title_set("x", "short");
    CHECK_STR(area, "ballast: x");
    for (size_t i = sizeof "ballast: x"; i < sizeof area; i++)
        CHECK_EQ(area[i], 0);
}

TEST(long_title_is_cut_to_the_area)
{
    char title[256];
    begin();
    memset(title, 'x', sizeof title - 1);
    title[sizeof title - 1] = '\0';
    title_set(title, "short");
    CHECK_EQ(strlen(area), sizeof area - 1);
}

TEST(environment_survives)
{
    begin();
    title_set("worker 0", "short");
    CHECK_STR(getenv("PATH"), "/nowhere");
    CHECK_STR(getenv("X"), "y");
}

TEST(environment_elsewhere_is_not_touched)
{
    static char elsewhere[] = "Z=untouched";
    static char *other_environ[] = {elsewhere, NULL};
    environ = other_environ;
    title_init(3, fake_argv);
    title_set("a title that is longer than the arguments are", "short");
    CHECK_STR(elsewhere, "Z=untouched");
    CHECK_EQ(strlen(area), 20); /* up to the end of the last argument */
    CHECK_STR(getenv("Z"), "untouched");
}

TEST(short_name_is_for_top)
{
    char name[16];
    begin();
    title_set("worker 3", "ballast:w3");
    CHECK_EQ(prctl(PR_GET_NAME, name), 0);
    CHECK_STR(name, "ballast:w3");
}
