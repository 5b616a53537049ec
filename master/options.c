#include "master/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/arg.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "conf/suggest.h"

#define COMMAND      "run"
#define DEFAULT_PORT "8080"

struct parse {
    struct master_options *out;
    struct conf_flags flags;
    const char *host, *port, *first_flag;
};

struct option_row {
    const char *name;
    char letter;
    bool wants_value;
    bool is_flag; /* stands for a part of a configuration: no -c beside it */
    int (*apply)(struct parse *p, const char *value); /* -1: said on stderr */
};

/* ---- one function per option
 * ------------------------------------------------------------------------------- */
static int set_conf(struct parse *p, const char *value)
{
    p->out->conf_path = value;
    return 0;
}

static int set_daemon(struct parse *p, const char *value UNUSED)
{
    p->out->daemon = true;
    return 0;
}

static int set_debug(struct parse *p, const char *value UNUSED)
{
    p->out->debug = true;
    p->flags.log_level = "debug";
    return 0;
}

static int set_pid_file(struct parse *p, const char *value)
{
    p->out->pid_file = value;
    return 0;
}

static int add(const char **list, uint32_t *count, size_t cap, const char *name, const char *value)
{
    if (*count == cap) {
        (void)cli_wrong(COMMAND, "more than %zu times `--%s`: write a file", cap, name);
        return -1;
    }
    list[(*count)++] = value;
    return 0;
}

static int add_listen(struct parse *p, const char *value)
{
    return add(p->flags.listen, &p->flags.listen_count, ARRAY_LEN(p->flags.listen), "listen",
               value);
}

static int add_backend(struct parse *p, const char *value)
{
    return add(p->flags.backends, &p->flags.backend_count, ARRAY_LEN(p->flags.backends), "backend",
               value);
}

static int set_algorithm(struct parse *p, const char *value)
{
    p->flags.algorithm = value;
    return 0;
}

static int set_admin(struct parse *p, const char *value)
{
    p->flags.admin = value;
    return 0;
}

static int set_workers(struct parse *p, const char *value)
{
    p->flags.workers = value;
    return 0;
}

static int set_host(struct parse *p, const char *value)
{
    p->host = value;
    return 0;
}

static int set_port(struct parse *p, const char *value)
{
    uint64_t port;
    if (cli_parse_uint(value, UINT16_MAX, &port) == -1 || port == 0) {
        (void)cli_wrong(COMMAND, "`--port %s`: not a port number", value);
        return -1;
    }
    p->port = value;
    return 0;
}

static const struct option_row rows[] = {
    {"config", 'c', true, false, set_conf},      {"daemon", 0, false, false, set_daemon},
    {"debug", 0, false, false, set_debug},       {"pid-file", 0, true, false, set_pid_file},
    {"listen", 0, true, true, add_listen},       {"backend", 0, true, true, add_backend},
    {"algorithm", 0, true, true, set_algorithm}, {"admin", 0, true, true, set_admin},
    {"workers", 0, true, true, set_workers},     {"host", 0, true, true, set_host},
    {"port", 0, true, true, set_port},
};

/* ---- the words
 * --------------------------------------------------------------------------------------------- */
static void say_unknown(const char *word)
{
    struct suggest s;
    suggest_init(&s, word + strspn(word, "-"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        suggest_offer(&s, rows[i].name);
    if (word[0] != '-')
        (void)cli_wrong(COMMAND, "unexpected word `%s`", word);
    else if (s.best != NULL)
        (void)cli_wrong(COMMAND, "unknown option `%s`, did you mean `--%s`?", word, s.best);
    else
        (void)cli_wrong(COMMAND, "unknown option `%s`", word);
}

/* The row of a word; *value is what the word itself carries behind the name, or NULL. */
static const struct option_row *match(const char *word, const char **value)
{
    *value = NULL;
    if (word[0] != '-' || word[1] == '\0')
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option_row *r = &rows[i];
        size_t len = strlen(r->name);
        if (word[1] == '-' && strncmp(word + 2, r->name, len) == 0 &&
            (word[2 + len] == '\0' || word[2 + len] == '=')) {
            *value = word[2 + len] == '=' ? word + 3 + len : NULL;
            return r;
        }
        if (r->letter != 0 && word[1] == r->letter) {
            *value = word[2] != '\0' ? word + 2 : NULL;
            return r;
        }
    }
    return NULL;
}

/* Reads the option at argv[*at], moving *at over a separate value. 0 or -1. */
static int read_option(struct parse *p, int argc, char **argv, int *at)
{
    const char *value;
    const struct option_row *r = match(argv[*at], &value);
    if (r == NULL) {
        say_unknown(argv[*at]);
        return -1;
    }
    if (r->wants_value && value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (r->wants_value != (value != NULL)) {
        (void)cli_wrong(COMMAND, "`--%s` %s", r->name,
                        r->wants_value ? "wants a value" : "takes no value");
        return -1;
    }
    if (r->is_flag && p->first_flag == NULL)
        p->first_flag = r->name;
    return r->apply(p, value);
}

/* ---- what it all means
 * ----------------------------------------------------------------------------------------- */

/* --host and --port are another spelling of --listen. */
static int add_host_port(struct parse *p, struct arena *arena)
{
    if (p->host == NULL && p->port == NULL)
        return 0;
    const char *host = p->host == NULL ? "*" : p->host;
    bool bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    return add_listen(p, arena_printf(arena, bare_ipv6 ? "[%s]:%s" : "%s:%s", host,
                                      p->port == NULL ? DEFAULT_PORT : p->port));
}

static int make_text(struct parse *p, struct arena *arena)
{
    if (p->out->conf_path != NULL) {
        (void)cli_wrong(COMMAND, "`--%s` says what a file says: not together with `-c`",
                        p->first_flag);
        return -1;
    }
    if (add_host_port(p, arena) == -1)
        return -1;
    if (p->flags.listen_count == 0 || p->flags.backend_count == 0) {
        (void)cli_wrong(COMMAND, "without a file, `--listen` and `--backend` are both needed");
        return -1;
    }
    p->out->conf_text = conf_from_flags(&p->flags, arena);
    return 0;
}

static int use_file(struct parse *p, struct arena *arena)
{
    const char *path = p->out->conf_path == NULL ? CLI_CONF_DEFAULT : p->out->conf_path;
    char *absolute = realpath(path, NULL); /* a reload finds it again, wherever we stand then */
    p->out->conf_path = arena_strdup(arena, absolute == NULL ? path : absolute);
    free(absolute);
    return 0;
}

enum options_result options_parse(int argc, char **argv, struct arena *arena,
                                  struct master_options *out)
{
    struct parse p = {.out = out};
    *out = (struct master_options){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            cli_print_help(COMMAND);
            return OPTIONS_HELP;
        }
        if (read_option(&p, argc, argv, &i) == -1)
            return OPTIONS_WRONG;
    }
    if (out->pid_file != NULL)
        out->pid_file = arena_strdup(arena, out->pid_file); /* the title in ps overwrites argv */
    int result = p.first_flag != NULL ? make_text(&p, arena) : use_file(&p, arena);
    return result == -1 ? OPTIONS_WRONG : OPTIONS_OK;
}
