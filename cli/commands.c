#include <stdio.h>
#include <string.h>
#include "cli/commands.h"
#include "conf/suggest.h"

const struct cli_command cli_commands[] = {
    {"run",
     "ballast run [-c FILE] [--daemon] [--pid-file FILE] [--debug]\n"
     "       ballast run --listen ADDRESS... --backend ADDRESS[,weight=N]... [--algorithm NAME]\n"
     "                   [--admin ADDRESS] [--workers N] [--host ADDRESS] [--port N]",
     "Start the load balancer in the foreground, from a file or from flags.", NULL},
    {"check", "ballast check [-c FILE]",
     "Read and validate a configuration file; every error is printed.", command_check},
    {"show", "ballast show [-c FILE] [--json]",
     "Print the effective configuration, defaults included, secrets redacted.", command_show},
    {"plan", "ballast plan [-c FILE] [--pid N] [--json] [--exit-code]",
     "Say what a reload of FILE would change in the running instance; --exit-code: 2 if anything.",
     command_plan},
    {"reload", "ballast reload [-c FILE | --pid N] [--timeout TIME]",
     "Make the running instance adopt its changed configuration and wait for the outcome.",
     command_reload},
    {"upgrade", "ballast upgrade [-c FILE | --pid N] [--timeout TIME]",
     "Put a new version of the program in the place of the running one and wait for the outcome.",
     command_upgrade},
    {"stop", "ballast stop [-c FILE | --pid N] [--timeout TIME]",
     "Stop gracefully: finish what is in flight within drain_timeout.", command_stop},
    {"quit", "ballast quit [-c FILE | --pid N] [--timeout TIME]",
     "Stop gracefully without a time limit.", command_quit},
    {"reopen", "ballast reopen [-c FILE | --pid N] [--timeout TIME]",
     "Reopen the log files, after they were rotated.", command_reopen},
    {"top", "ballast top [-c FILE | --pid N] [--once] [--json] [--interval TIME]",
     "Watch pools and backends live, straight from shared memory.", command_top},
    {"events", "ballast events [-c FILE | --pid N] [-f] [--since N] [--json]",
     "Print what happened: health changes, reloads, restarts, admin actions.", command_events},
    {"explain",
     "ballast explain [-c FILE | --pid N] [--client IP] [-H 'NAME: VALUE']... [--listener NAME] "
     "[--json]\n"
     "       'GET http://HOST[:PORT]/PATH'",
     "Say where a request would go and why: route, candidates, who is left out, the choice.",
     command_explain},
    {"backend",
     "ballast backend --port N [--host ADDRESS] [--id NAME] [--delay TIME] [--fail-rate F] "
     "[--body-size SIZE]",
     "Serve as a sample backend, to try the balancer with.", command_backend},
    {"load",
     "ballast load URL [--requests N] [--concurrency N] [--output FILE] [--method M] [-H 'NAME: "
     "VALUE']...\n"
     "       [--close] [--timeout TIME] [--by FIELD]",
     "Ask for a URL again and again: latencies, statuses, and who answered.", command_load},
    {"demo", "ballast demo", "Start three sample backends, the balancer and its dashboard.", NULL},
    {"advise", "ballast advise [--homogeneous | --uneven] [--sessions] [--long] [--churn]",
     "Recommend a balancing algorithm for your kind of traffic.", command_advise},
    {"help", "ballast help [COMMAND | TOPIC | SETTING]",
     "Explain a command, a topic (options, signals) or a setting.", command_help},
    {NULL, NULL, NULL, NULL},
};

const struct cli_command *cli_find(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (c->run && strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

int cli_usage(const char *what)
{
    fprintf(stderr, "ballast: %s\n`ballast help` lists the commands\n", what);
    return 2;
}

int cli_unknown_command(const char *name)
{
    struct suggest s;
    char text[160];

    suggest_init(&s, name);
    for (const struct cli_command *c = cli_commands; c->name; c++)
        suggest_offer(&s, c->name);
    if (s.best)
        snprintf(text, sizeof(text), "unknown command `%.60s`, did you mean `%s`?", name, s.best);
    else
        snprintf(text, sizeof(text), "unknown command `%.60s`", name);
    return cli_usage(text);
}
