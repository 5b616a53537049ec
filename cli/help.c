/* cli/help.c: `ballast help` and --help. Commands explain themselves from their rows, options from
 * the configuration's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/arg.h"
#include "cli/commands.h"
#include "conf/conf.h"
#include "conf/suggest.h"

struct topic {
    const char *name, *help;
    void (*print)(void);
};

static void print_options(void)
{
    char *text = conf_dump_options_markdown();

    if (text)
        fputs(text, stdout);
    free(text);
}

static void print_signals(void)
{
    fputs("Signals to the master process (its pid is in pid_file and in `ballast top`):\n"
          "\n"
          "  USR2, HUP  reload the configuration; on any error the old one keeps serving\n"
          "  TERM, INT  graceful stop: accept no more, finish what is in flight within\n"
          "             drain_timeout, exit 0; a second one: at once\n"
          "  QUIT       graceful stop without a time limit\n"
          "  USR1       reopen log files\n"
          "\n"
          "`ballast reload`, `stop`, `quit` and `reopen` send them and report the outcome.\n",
          stdout);
}

static void print_exit_status(void)
{
    fputs("Exit status of every command:\n"
          "\n"
          "  0  fine, also after a requested stop\n"
          "  1  the configuration is wrong, or something failed at run time\n"
          "  2  wrong usage\n",
          stdout);
}

static const struct topic topics[] = {
    {"options", "every setting of the configuration file, with type and default", print_options},
    {"signals", "what each signal makes the balancer do", print_signals},
    {"exit-status", "what the exit statuses mean", print_exit_status},
};

static void print_overview(void)
{
    printf(
        "ballast %s: a load balancer for HTTP, TCP and UDP\n\nusage: ballast COMMAND [OPTION...]\n"
        "       ballast -c FILE            the same as `ballast run -c FILE`\n"
        "       ballast -t -c FILE         the same as `ballast check -c FILE`\n"
        "       ballast --version\n\ncommands:\n",
        BALLAST_VERSION);
    for (const struct cli_command *c = cli_commands; c->name; c++)
        printf("  %-8s %s\n", c->name, c->help);
    fputs("\ntopics for `ballast help TOPIC`:\n", stdout);
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        printf("  %-12s %s\n", topics[i].name, topics[i].help);
    fputs(
        "\n`ballast help SETTING` explains a setting, such as weight, health.interval or a whole\n"
        "group: health.\n",
        stdout);
    printf("\nThe configuration file is %s unless -c says otherwise.\n", CLI_CONF_DEFAULT);
}

static bool print_setting(const char *name)
{
    char *text = conf_help_text(name);

    if (text)
        fputs(text, stdout);
    free(text);
    return text != NULL;
}

/* False when nothing is known by this name. */
static bool print_named(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (strcmp(c->name, name) == 0) {
            printf("%s\n\nusage: %s\n", c->help, c->usage);
            return true;
        }
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        if (strcmp(topics[i].name, name) == 0) {
            topics[i].print();
            return true;
        }
    return print_setting(name);
}

static const char *nearest_name(const char *name)
{
    struct suggest s;

    suggest_init(&s, name);
    for (const struct cli_command *c = cli_commands; c->name; c++)
        suggest_offer(&s, c->name);
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        suggest_offer(&s, topics[i].name);
    conf_help_suggest(&s);
    return s.best;
}

void cli_print_help(const char *topic)
{
    if (!topic || !print_named(topic))
        print_overview();
}

int command_help(int argc, char **argv)
{
    const struct cli_arg rows[] = {{0}};
    int words = 0;
    enum cli_args_result r = cli_args(argc, argv, rows, &words);

    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    if (words > 1)
        return cli_wrong("help", "one command or topic at a time");
    if (words == 0) {
        print_overview();
        return 0;
    }
    if (print_named(argv[1]))
        return 0;
    const char *near = nearest_name(argv[1]);
    if (near)
        return cli_wrong("help", "nothing is known of `%s`, did you mean `%s`?", argv[1], near);
    return cli_wrong("help", "nothing is known of `%s`", argv[1]);
}
