/*
 * tests/lint/print.c: prints a generated part of the docs from the rows of the layer that has them:
 * `print NAME`. `make docs` and `make lint` run it; exit status 2 when nothing is known by that
 * name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/admin.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "worker/lb/lb.h"

static int put(char *text)
{
    if (!text)
        return 1;
    fputs(text, stdout);
    free(text);
    return 0;
}

static int print_algorithms(void)
{
    puts("| `balance` | how it chooses | cost per pick |\n| --- | --- | --- |");
    for (const struct lb_algorithm *const *a = lb_algorithms; *a; a++)
        printf("| `%s` | %s | %s |\n", (*a)->name, (*a)->help, (*a)->cost);
    return 0;
}

static int print_commands(void)
{
    puts("| command | what it does |\n| --- | --- |");
    for (const struct cli_command *c = cli_commands; c->name; c++)
        printf("| `ballast %s` | %s |\n", c->name, c->help);
    return 0;
}

static int print_options(void)
{
    return put(conf_dump_options_markdown());
}

static int print_endpoints(void)
{
    return put(admin_endpoints_markdown());
}

static int print_metrics(void)
{
    return put(admin_metrics_markdown());
}

static const struct {
    const char *name;
    int (*print)(void);
} parts[] = {
    {"algorithms", print_algorithms}, {"commands", print_commands}, {"options", print_options},
    {"endpoints", print_endpoints},   {"metrics", print_metrics},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < ARRAY_LEN(parts); i++)
        if (strcmp(argv[1], parts[i].name) == 0)
            return parts[i].print();
    fprintf(stderr, "usage: print NAME\n");
    return 2;
}
