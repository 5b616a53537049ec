#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/arg.h"
#include "cli/cli.h"
#include "conf/suggest.h"
#include "conf/units.h"

int cli_wrong(const char *command, const char *fmt, ...)
{
    const struct cli_command *c = cli_commands;
    va_list ap;

    va_start(ap, fmt);
    fprintf(stderr, "ballast %s: ", command);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    while (c->name && strcmp(c->name, command) != 0)
        c++;
    if (c->name)
        fprintf(stderr, "usage: %s\n", c->usage);
    return 2;
}

int cli_parse_uint(const char *text, uint64_t max, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || *end || v > max)
        return -1;
    *out = v;
    return 0;
}

static int parse_units(enum units_kind kind, const char *text, uint64_t max, uint64_t *out)
{
    uint64_t v;

    if (units_parse(kind, text, &v) != UNITS_OK || v > max)
        return -1;
    *out = v;
    return 0;
}

int cli_parse_duration_ms(const char *text, uint64_t max, uint64_t *out)
{
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return 0;
    }
    return parse_units(UNITS_DURATION, text, max, out);
}

int cli_parse_size(const char *text, uint64_t max, uint64_t *out)
{
    if (cli_parse_uint(text, max, out) == 0)
        return 0;
    return parse_units(UNITS_SIZE, text, max, out);
}

int cli_parse_fraction(const char *text, double *out)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !isfinite(v) || v < 0 || v > 1)
        return -1;
    *out = v;
    return 0;
}

static const char *kind_wants(enum cli_arg_kind kind)
{
    switch (kind) {
    case CLI_UINT: return "a whole number";
    case CLI_PID: return "a process id";
    case CLI_DURATION: return "a time with a unit, such as 20ms or 5s";
    case CLI_SIZE: return "a size, such as 512, 64k or 10m";
    case CLI_FRACTION: return "a number from 0 to 1, such as 0.1";
    case CLI_FLAG:
    case CLI_LIST:
    case CLI_TEXT: break;
    }
    return "a value";
}

static int append(struct cli_list *list, const char *value)
{
    if (list->count == CLI_LIST_MAX)
        return -1;
    list->items[list->count++] = value;
    return 0;
}

static int parse_pid(const char *text, uint64_t *out)
{
    uint64_t pid;

    if (cli_parse_uint(text, INT32_MAX, &pid) == -1 || pid == 0)
        return -1;
    *out = pid;
    return 0;
}

static int store(const struct cli_arg *row, const char *value)
{
    switch (row->kind) {
    case CLI_TEXT: *(const char **)row->out = value; return 0;
    case CLI_LIST: return append(row->out, value);
    case CLI_UINT: return cli_parse_uint(value, row->max, row->out);
    case CLI_PID: return parse_pid(value, row->out);
    case CLI_DURATION: return cli_parse_duration_ms(value, row->max, row->out);
    case CLI_SIZE: return cli_parse_size(value, row->max, row->out);
    case CLI_FRACTION: return cli_parse_fraction(value, row->out);
    case CLI_FLAG: break;
    }
    *(bool *)row->out = true;
    return 0;
}

static int unknown_option(const char *command, const struct cli_arg *rows, const char *option)
{
    struct suggest s;
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(option, "="), option);
    suggest_init(&s, name + strspn(name, "-"));
    for (const struct cli_arg *r = rows; r->name; r++)
        suggest_offer(&s, r->name);
    if (s.best)
        return cli_wrong(command, "unknown option `%s`, did you mean `--%s`?", name, s.best);
    return cli_wrong(command, "unknown option `%s`", name);
}

/* The row that `word` (without its dashes) names; *value is set when it carries one. */
static const struct cli_arg *match(const struct cli_arg *rows, const char *word, bool is_long,
                                   const char **value)
{
    const char *equals = is_long ? strchr(word, '=') : NULL;
    size_t name_len = equals ? (size_t)(equals - word) : strlen(word);

    *value = equals ? equals + 1 : NULL;
    if (!is_long && word[0] && word[1])
        *value = word + 1;
    for (const struct cli_arg *r = rows; r->name; r++) {
        if (is_long && strlen(r->name) == name_len && strncmp(r->name, word, name_len) == 0)
            return r;
        if (!is_long && r->letter && r->letter == word[0])
            return r;
    }
    return NULL;
}

static int take_value(const char *command, const struct cli_arg *row, const char *value)
{
    if (row->kind == CLI_FLAG && value)
        return cli_wrong(command, "`--%s` takes no value", row->name);
    if (row->kind != CLI_FLAG && !value)
        return cli_wrong(command, "`--%s` wants %s", row->name, kind_wants(row->kind));
    if (store(row, value) == -1)
        return cli_wrong(command, "`--%s %s`: not %s%s", row->name, value, kind_wants(row->kind),
                         row->max ? " in range" : "");
    return 0;
}

/* One option at argv[*at]; moves *at over a separate value. */
static enum cli_args_result read_option(int argc, char **argv, const struct cli_arg *rows, int *at)
{
    const char *option = argv[*at], *value;
    bool is_long = option[1] == '-';
    const struct cli_arg *row = match(rows, option + 1 + is_long, is_long, &value);

    if (!row && (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0)) {
        cli_print_help(argv[0]);
        return CLI_ARGS_HELP;
    }
    if (!row) {
        unknown_option(argv[0], rows, option);
        return CLI_ARGS_WRONG;
    }
    if (row->kind != CLI_FLAG && !value && *at + 1 < argc)
        value = argv[++*at];
    return take_value(argv[0], row, value) == 0 ? CLI_ARGS_OK : CLI_ARGS_WRONG;
}

enum cli_args_result cli_args(int argc, char **argv, const struct cli_arg *rows, int *words)
{
    int count = 0;
    bool options = true;

    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            enum cli_args_result r = read_option(argc, argv, rows, &i);
            if (r != CLI_ARGS_OK)
                return r;
        } else if (words) {
            argv[++count] = argv[i];
        } else {
            cli_wrong(argv[0], "unexpected word `%s`", argv[i]);
            return CLI_ARGS_WRONG;
        }
    }
    if (words)
        *words = count;
    return CLI_ARGS_OK;
}
