/*
 * cli/top.c: `ballast top`: the table, live, read-only, without asking any process; so it works
 * when all of them are dead, and says so.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "cli/arg.h"
#include "cli/commands.h"
#include "cli/top.h"

#define INTERVAL_MAX_MS 3600000ull

struct top {
    struct instance_choice choice;
    struct instance instance;
    bool once, json;
    uint64_t interval_ms;
    struct snapshot shots[2];
    unsigned shot; /* index of the newest */
    bool have_earlier;
    struct termios saved;
    bool raw;
};

static volatile sig_atomic_t stop_requested;

static void on_stop(int number UNUSED)
{
    stop_requested = 1;
}

/* Takes a snapshot; the one before becomes the earlier one. */
static int take(struct top *top)
{
    unsigned next = top->shot ^ 1u;

    snapshot_free(&top->shots[next]);
    if (snapshot_take(&top->shots[next], &top->instance) == -1) {
        fprintf(stderr, "ballast top: out of memory\n");
        return -1;
    }
    top->have_earlier = top->shots[top->shot].mono_us != 0;
    top->shot = next;
    return 0;
}

static void write_shot(const struct top *top, FILE *out, const struct top_style *style)
{
    const struct snapshot *now = &top->shots[top->shot];
    const struct snapshot *earlier =
        top->have_earlier && now->alive ? &top->shots[top->shot ^ 1u] : NULL;

    if (top->json)
        top_write_json(out, now, earlier, top->instance.table.header);
    else
        top_write_text(out, now, earlier, top->instance.table.header, style);
}

/* Waits one interval. False when the user wants out: a signal, or q on the terminal. */
static bool pause_interval(const struct top *top)
{
    struct pollfd p = {.fd = top->raw ? STDIN_FILENO : -1, .events = POLLIN};
    char key;

    if (stop_requested)
        return false;
    if (poll(&p, 1, (int)top->interval_ms) == -1)
        return errno == EINTR && !stop_requested;
    if (p.revents == 0)
        return true;
    return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 27;
}

static int run_once(struct top *top)
{
    const struct top_style style = {0};

    if (take(top) == -1)
        return 1;
    if (top->shots[top->shot].alive && (!pause_interval(top) || take(top) == -1))
        return 1;
    write_shot(top, stdout, &style);
    return 0;
}

/* A JSON object per interval until the instance ends or the reader goes. */
static int run_lines(struct top *top)
{
    const struct top_style style = {0};

    if (take(top) == -1)
        return 1;
    while (pause_interval(top)) {
        if (take(top) == -1)
            return 1;
        write_shot(top, stdout, &style);
        if (fflush(stdout) == EOF || !top->shots[top->shot].alive)
            break;
    }
    return 0;
}

static void terminal_begin(struct top *top)
{
    struct termios t;

    if (isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &top->saved) == 0) {
        t = top->saved;
        t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        top->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
    }
    fputs("\033[?1049h\033[?25l", stdout); /* the other screen, no cursor */
}

static void terminal_end(struct top *top)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (top->raw && tcsetattr(STDIN_FILENO, TCSANOW, &top->saved) == -1)
        perror("ballast top: terminal");
}

/* https://no-color.org */
static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return !no || !*no;
}

static bool is_dumb(void)
{
    const char *term = getenv("TERM");
    return term && strcmp(term, "dumb") == 0;
}

/* How long the first lines are: on a small screen the rest would push them out. */
static size_t lines_bytes(const char *text, unsigned lines)
{
    const char *at = text, *end = text;

    for (; lines > 0 && (at = strchr(at, '\n')); lines--)
        end = ++at;
    return (size_t)(end - text);
}

/* One screen in one write, so that it does not flicker. */
static void draw(const struct top *top)
{
    struct winsize size = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_row == 0)
        size.ws_row = 24;
    const struct top_style style = {.colour = wants_colour(), .lines = size.ws_row};
    write_shot(top, out, &style);
    fclose(out);
    fputs("\033[H\033[?7l", stdout); /* home; long lines are cut, not folded */
    fwrite(text, 1, lines_bytes(text, size.ws_row - 1u), stdout);
    fputs(style.colour ? "\033[2mq quits\033[0m\033[J\033[?7h" : "q quits\033[J\033[?7h", stdout);
    fflush(stdout);
    free(text);
}

static int run_screen(struct top *top)
{
    int status = 0;

    if (take(top) == -1)
        return 1;
    terminal_begin(top);
    do {
        draw(top);
        if (!pause_interval(top))
            break;
        status = take(top) == -1;
    } while (status == 0);
    terminal_end(top);
    return status;
}

static void catch_signals(void)
{
    const struct sigaction stop = {.sa_handler = on_stop};

    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
}

static int run(struct top *top)
{
    int status;

    if (top->once)
        status = run_once(top);
    else if (top->json)
        status = run_lines(top);
    else if (isatty(STDOUT_FILENO) == 1 && !is_dumb())
        status = run_screen(top);
    else
        status = run_once(top);
    snapshot_free(&top->shots[0]);
    snapshot_free(&top->shots[1]);
    return status;
}

int command_top(int argc, char **argv)
{
    struct top top = {.interval_ms = 1000, .choice = {.dead_too = true}};
    const struct cli_arg rows[] = {
        {"config", 'c', CLI_TEXT, &top.choice.conf_path, 0},
        {"pid", 0, CLI_PID, &top.choice.pid, 0},
        {"once", '1', CLI_FLAG, &top.once, 0},
        {"json", 0, CLI_FLAG, &top.json, 0},
        {"interval", 'i', CLI_DURATION, &top.interval_ms, INTERVAL_MAX_MS},
        {0}};
    enum cli_args_result r = cli_args(argc, argv, rows, NULL);
    char why[512];

    if (r != CLI_ARGS_OK)
        return cli_args_status(r);
    if (top.interval_ms < 50)
        return cli_wrong("top", "--interval is at least 50ms");
    if (instance_find(&top.choice, &top.instance, why, sizeof(why)) == -1) {
        fprintf(stderr, "ballast top: %s\n", why);
        return 1;
    }
    catch_signals();
    int status = run(&top);
    instance_close(&top.instance);
    return status;
}
