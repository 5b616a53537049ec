/*
 * cli/cli.h: the commands that are not the server itself: check, show, the signals by name, top,
 * events, advise, help, the sample backend. Each is one function that gets its own argv (argv[0] is
 * the command) and returns the exit status: 0 fine, 1 failure, 2 wrong usage. `run` and `demo`
 * start an instance and live in master/main.c; their rows here have no function and stand for help
 * and for hints only.
 */
#ifndef BALLAST_CLI_CLI_H
#define BALLAST_CLI_CLI_H

#include "base/base.h"
#include "proc/role.h"

#define CLI_CONF_DEFAULT "/etc/ballast/ballast.conf"

struct cli_command {
    const char *name;
    const char *usage;                 /* one line */
    const char *help;                  /* a sentence */
    int (*run)(int argc, char **argv); /* NULL: main runs it (run, demo) */
};
extern const struct cli_command cli_commands[]; /* ends with name NULL */
/* The command of this name that this folder runs, or NULL. */
const struct cli_command *cli_find(const char *name);
/* "unknown command `chekc`, did you mean `check`?" on stderr; returns 2. */
int cli_unknown_command(const char *name) MUST_CHECK;
int cli_usage(const char *what); /* prints a usage error for a wrong call to stderr; returns 2 */
void cli_print_help(const char *topic); /* NULL: the overview; a command's name or a topic */

/* The sample backend, as a foreground command and as a role of `ballast demo` (one child per port,
 * conf-independent). */
struct sample_options {
    const char *host, *id;
    uint16_t port;
    uint32_t delay_ms;
    double fail_rate;
    uint32_t body_bytes; /* 0: JSON about the request */
};
int sample_run(const struct sample_options *o); /* until SIGTERM/SIGINT */
extern const struct role sample_role; /* child index i serves 127.0.0.1 on sample_ports[i] */
extern uint16_t sample_ports[3];

/*
 * `ballast demo`: picks free ports (8080 for the listener, 9900 for admin, 8001 to 8003 for the
 * samples; the next free ones when taken), fills sample_ports and returns the configuration text,
 * which lives in the arena. NULL when no free port was found (said on stderr).
 */
const char *cli_demo_config(struct arena *a) MUST_CHECK;
/* To a master that asks whether this program can take its place. */
void cli_say_upgrade(void);
/* Once the demo runs: says on stdout what is where. */
void cli_demo_banner(void);

#endif
