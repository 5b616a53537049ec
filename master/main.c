/* master/main.c: the table of roles, and which function a command line means. The only file that
 * names every role. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "admin/admin.h"
#include "broker/broker.h"
#include "cli/cli.h"
#include "health/health.h"
#include "master/master.h"
#include "master/options.h"
#include "proc/title.h"
#include "worker/worker.h"

static const struct master_roles roles = {
    .worker = &worker_role, .health = &health_role, .admin = &admin_role, .broker = &broker_role};

/* Nobody named a file, and there is none where one is looked for. */
static bool is_first_contact(const char *conf_path)
{
    return strcmp(conf_path, CLI_CONF_DEFAULT) == 0 && access(conf_path, F_OK) == -1;
}

static int run(int argc, char **argv)
{
    struct arena arena;
    struct master_options options;
    arena_init(&arena);
    enum options_result parsed = options_parse(argc, argv, &arena, &options);
    int status = parsed == OPTIONS_HELP ? 0 : 2;
    if (parsed == OPTIONS_OK)
        status = master_run(&options, &roles);
    if (parsed == OPTIONS_OK && options.conf_path != NULL && is_first_contact(options.conf_path))
        fputs("`ballast demo` shows it at work; `ballast help` has what else there is\n", stderr);
    arena_free(&arena);
    return status;
}

static int demo(int argc, char **argv)
{
    if (argc > 1) {
        bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
        if (!help)
            return cli_usage("`demo` takes no options");
        cli_print_help("demo");
        return 0;
    }
    struct arena arena;
    struct master_roles all = roles;
    arena_init(&arena);
    struct master_options options = {.conf_text = cli_demo_config(&arena),
                                     .on_ready = cli_demo_banner};
    all.sample = &sample_role;
    all.sample_count = ARRAY_LEN(sample_ports);
    int status = options.conf_text == NULL ? 1 : master_run(&options, &all);
    arena_free(&arena);
    return status;
}

/* `ballast -t -c FILE` is `ballast check -c FILE`. */
static int check(int argc, char **argv, int t_at)
{
    static char name[] = "check";
    argv[0] = name;
    for (int i = t_at; i + 1 < argc; i++)
        argv[i] = argv[i + 1];
    argv[argc - 1] = NULL;
    return cli_find(name)->run(argc - 1, argv);
}

static bool is(const char *word, const char *long_form, const char *short_form)
{
    return strcmp(word, long_form) == 0 || strcmp(word, short_form) == 0;
}

/* A command line that begins with an option. */
static int options_only(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-t") == 0)
            return check(argc, argv, i);
    if (argc > 1 && is(argv[1], "--version", "-V")) {
        (void)printf("ballast %s\n", BALLAST_VERSION);
        cli_say_upgrade();
        return 0;
    }
    if (argc > 1 && is(argv[1], "--help", "-h")) {
        cli_print_help(NULL);
        return 0;
    }
    return run(argc, argv);
}

/* Started without one of them, the first socket would become "stdout". */
static void open_missing_stdio(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2)
        (void)close(fd);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-')
        return options_only(argc, argv);
    if (strcmp(argv[1], "run") == 0)
        return run(argc - 1, argv + 1);
    if (strcmp(argv[1], "demo") == 0)
        return demo(argc - 1, argv + 1);
    const struct cli_command *command = cli_find(argv[1]);
    return command != NULL ? command->run(argc - 1, argv + 1) : cli_unknown_command(argv[1]);
}

/* What was printed is where it should be, or the exit status says that it is not: nobody takes half
 * a `ballast show` for all of it. A reader that went away knows. */
static int printed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        fprintf(stderr, "ballast: cannot write the output: %s\n", strerror(errno));
    return status == 0 ? 1 : status;
}

int main(int argc, char **argv)
{
    open_missing_stdio();
    title_init(argc, argv);
    return printed(dispatch(argc, argv));
}
