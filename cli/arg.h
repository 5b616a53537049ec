/*
 * cli/arg.h: command line options as rows, shared by all commands. `--name value`, `--name=value`,
 * `-n value`, flags, and the rest as positional words. A mistake is reported on stderr with the
 * nearest known option and the command's usage line.
 */
#ifndef BALLAST_CLI_ARG_H
#define BALLAST_CLI_ARG_H

#include "base/base.h"

enum cli_arg_kind {
    CLI_FLAG,     /* bool */
    CLI_TEXT,     /* const char * */
    CLI_LIST,     /* struct cli_list: may be given again and again */
    CLI_UINT,     /* uint64_t, at most max */
    CLI_PID,      /* uint64_t, from 1 on */
    CLI_DURATION, /* uint64_t milliseconds from "20ms", "5s", "2m", "1h"; at most max */
    CLI_SIZE,     /* uint64_t bytes from "512", "64k", "10m", "1g"; at most max */
    CLI_FRACTION  /* double, 0 to 1 */
};

#define CLI_LIST_MAX 64u
struct cli_list {
    const char *items[CLI_LIST_MAX];
    uint32_t count;
};

struct cli_arg {
    const char *name; /* without the dashes; the last row has NULL */
    char letter;      /* 0: none */
    enum cli_arg_kind kind;
    void *out;
    uint64_t max;
};

enum cli_args_result { CLI_ARGS_OK, CLI_ARGS_HELP, CLI_ARGS_WRONG };

/*
 * Reads argv[1..argc) of the command argv[0] into the rows' variables. Positional words are moved
 * to argv[1..]; *words says how many there are. words NULL: the command takes none. HELP: --help
 * was given and answered (exit 0). WRONG: said on stderr (exit 2).
 */
enum cli_args_result cli_args(int argc, char **argv, const struct cli_arg *rows,
                              int *words) MUST_CHECK;
/* Exit status that belongs to a result other than OK. */
static inline int cli_args_status(enum cli_args_result r)
{
    return r == CLI_ARGS_HELP ? 0 : 2;
}

/* The numbers alone. 0, or -1 with nothing written. */
int cli_parse_uint(const char *text, uint64_t max, uint64_t *out) MUST_CHECK;
int cli_parse_duration_ms(const char *text, uint64_t max, uint64_t *out) MUST_CHECK;
int cli_parse_size(const char *text, uint64_t max, uint64_t *out) MUST_CHECK;
int cli_parse_fraction(const char *text, double *out) MUST_CHECK;

/* Prints "ballast COMMAND: what" and the command's usage; returns 2. */
int cli_wrong(const char *command, const char *fmt, ...) PRINTF(2, 3);

#endif
