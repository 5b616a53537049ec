/* cli/check.c: `ballast check` and `ballast show`: what the server would make of a file, without
 * starting it. */
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "cli/arg.h"
#include "cli/commands.h"
#include "conf/conf.h"
#include "proc/control.h"

/* Reads the file; NULL after printing every error. */
static const struct conf *load(const char *path, struct arena *arena)
{
    struct conf_errors errors;

    conf_errors_init(&errors, arena);
    const struct conf *conf = conf_load(path, arena, &errors);
    if (conf)
        return conf;
    fputs(conf_errors_format(&errors), stderr);
    fprintf(stderr, "%s: %u error%s\n", path, errors.count, errors.count == 1 ? "" : "s");
    return NULL;
}

void cli_say_upgrade(void)
{
    if (getenv(UPGRADE_TEST_ENV))
        puts(UPGRADE_SPOKEN "\n" UPGRADE_REHEARSES);
}

int command_check(int argc, char **argv)
{
    const char *path = CLI_CONF_DEFAULT;
    const struct cli_arg rows[] = {{"config", 'c', CLI_TEXT, &path, 0}, {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, NULL);
    struct arena arena;

    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    arena_init(&arena);
    bool ok = load(path, &arena) != NULL;
    if (ok)
        printf("%s: ok\n", path);
    if (ok)
        cli_say_upgrade();
    arena_free(&arena);
    return ok ? 0 : 1;
}

static int print_conf(const struct conf *conf, bool json)
{
    char *text = json ? conf_dump_json(conf) : conf_dump_text(conf);

    if (!text) {
        fprintf(stderr, "ballast show: out of memory\n");
        return 1;
    }
    fputs(text, stdout);
    if (json)
        putchar('\n');
    free(text);
    return 0;
}

int command_show(int argc, char **argv)
{
    const char *path = CLI_CONF_DEFAULT;
    bool json = false;
    const struct cli_arg rows[] = {
        {"config", 'c', CLI_TEXT, &path, 0}, {"json", 0, CLI_FLAG, &json, 0}, {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, NULL);
    struct arena arena;

    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    arena_init(&arena);
    const struct conf *conf = load(path, &arena);
    int status = conf ? print_conf(conf, json) : 1;
    arena_free(&arena);
    return status;
}
