#include "proc/title.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *area; /* NULL until title_init */
static size_t area_bytes;

/* End of the strings that follow each other without a gap from `at`. */
static char *end_of(char **strings, char *at)
{
    for (; *strings != NULL && *strings == at; strings++)
        at = *strings + strlen(*strings) + 1;
    return at;
}

/* Copies the environment to the heap. False without memory: it stays where it is. */
static bool move_environment(void)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(environ[i]);
        if (copy[i] == NULL)
            return false; /* leaves a few bytes behind in a process that is about to fail anyway */
    }
    if (copy != NULL)
        environ = copy;
    return copy != NULL;
}

void title_init(int argc, char **argv)
{
    if (argc < 1 || area != NULL)
        return;
    char *end = end_of(argv, argv[0]);
    char *end_with_environment = end_of(environ, end);
    if (move_environment())
        end = end_with_environment;
    area = argv[0];
    area_bytes = (size_t)(end - area);
}

void title_set(const char *text, const char *short_name)
{
    (void)prctl(PR_SET_NAME, short_name);
    if (area == NULL || area_bytes < 2)
        return;
    memset(area, 0, area_bytes);
    (void)snprintf(area, area_bytes, "ballast: %s", text);
}
