#include "proc/title.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *area; /* NULL until title_init */
static size_t area_bytes;
static char **arguments;

/* End of the strings that follow each other without a gap from `at`. */
static char *end_of(char **strings, char *at)
{
    for (; *strings != NULL && *strings == at; strings++)
        at = *strings + strlen(*strings) + 1;
    return at;
}

/* Copies the environment to the heap, in one block that `environment` holds on to whatever unsetenv
 * takes out later. False without memory: it stays where it is. */
static bool move_environment(void)
{
    static char **environment;
    size_t count = 0, len_bytes = 0;
    for (; environ[count] != NULL; count++)
        len_bytes += strlen(environ[count]) + 1;
    environment = malloc((count + 1) * sizeof *environment + len_bytes);
    if (environment == NULL)
        return false;
    char *at = (char *)(environment + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(environ[i]) + 1;
        environment[i] = memcpy(at, environ[i], n);
        at += n;
    }
    environment[count] = NULL;
    environ = environment;
    return true;
}

static void keep_arguments(int argc, char **argv)
{
    arguments = calloc((size_t)argc + 1, sizeof *arguments);
    for (int i = 0; arguments != NULL && i < argc; i++)
        if ((arguments[i] = strdup(argv[i])) == NULL)
            arguments = NULL;
}

char **title_arguments(void)
{
    return arguments;
}

void title_init(int argc, char **argv)
{
    if (argc < 1 || area != NULL)
        return;
    keep_arguments(argc, argv);
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
