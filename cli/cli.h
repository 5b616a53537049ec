/*
 * cli/cli.h: the commands that are not the server itself: check, show, plan, signals by name, top, events, help, the sample backend. Each is
 * one function that gets its own argv (argv[0] is the command) and returns the exit status: 0 fine, 1 failure, 2 wrong usage.
 */
#ifndef BALLAST_CLI_CLI_H
#define BALLAST_CLI_CLI_H

#include "base/base.h"
#include "proc/role.h"

struct cli_command {
    const char *name;
    const char *usage; /* one line */
    const char *help;  /* a sentence */
    int (*run)(int argc, char **argv);
};
extern const struct cli_command cli_commands[]; /* ends with name NULL */
const struct cli_command *cli_find(const char *name);
int cli_usage(const char *what);   /* prints a usage error for a wrong call to stderr; returns 2 */
void cli_print_help(const char *topic); /* NULL: the overview */

/* The sample backend, as a foreground command and as a role of `ballast demo` (one child per port, conf-independent). */
struct sample_options {
    const char *host, *id;
    uint16_t port;
    uint32_t delay_ms;
    double fail_rate;
    uint32_t body_bytes;
};
int sample_run(const struct sample_options *o); /* until SIGTERM/SIGINT */
extern const struct role sample_role;           /* child index i serves 127.0.0.1 on sample_ports[i] */
extern uint16_t sample_ports[3];

#endif
