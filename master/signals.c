#include "master/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "master/logs.h"
#include "master/reload.h"
#include "master/stop.h"
#include "master/upgrade.h"
#include "proc/control.h"

static void on_reload(struct master *m)
{
    reload_request(m, false);
}

static void on_stop(struct master *m)
{
    stop_request(m, STOP_LIMITED);
}

static void on_quit(struct master *m)
{
    stop_request(m, STOP_UNLIMITED);
}

static const struct {
    int number;
    const char *name, *meaning;
    void (*act)(struct master *m);
} rows[] = {
    {SIGUSR2, "USR2", "reload", on_reload},
    {SIGHUP, "HUP", "reload", on_reload},
    {SIGTERM, "TERM", "stop", on_stop},
    {SIGINT, "INT", "stop", on_stop},
    {SIGQUIT, "QUIT", "stop without a limit", on_quit},
    {SIGUSR1, "USR1", "reopen logs", logs_reopen},
    {SIGWINCH, "WINCH", "nothing", NULL},
};

static void set_of_all(sigset_t *set)
{
    (void)sigemptyset(set);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        (void)sigaddset(set, rows[i].number);
}

int signals_block(void)
{
    sigset_t set;
    set_of_all(&set);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction usual = {
        .sa_handler = SIG_DFL}; /* ignored by who started us: children would vanish unreaped */
    /* SIGXFSZ: a log or a state file beyond the limit of file sizes is an error, not the end */
    if (sigaction(SIGPIPE, &ignore, NULL) == -1 || sigaction(SIGXFSZ, &ignore, NULL) == -1 ||
        sigaction(SIGCHLD, &usual, NULL) == -1)
        return -1;
    return sigprocmask(SIG_BLOCK, &set, NULL);
}

/* USR2 from sigqueue(3) with this value is `ballast upgrade`. */
static bool is_upgrade(const struct signalfd_siginfo *info)
{
    return info->ssi_signo == SIGUSR2 && info->ssi_code == SI_QUEUE &&
           (uint32_t)info->ssi_int == SIGNALS_UPGRADE;
}

static void act(struct master *m, int number)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].number != number || rows[i].act == NULL)
            continue;
        log_info("signal %s: %s", rows[i].name, rows[i].meaning);
        rows[i].act(m);
    }
}

static void on_signal(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    struct signalfd_siginfo info;
    while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (is_upgrade(&info))
            upgrade_request(m);
        else
            act(m, (int)info.ssi_signo);
}

int signals_start(struct master *m)
{
    sigset_t set;
    set_of_all(&set);
    m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (m->signal_fd == -1)
        return -1;
    ev_io_init(&m->signal_io, on_signal, m->signal_fd, EV_READ);
    m->signal_io.data = m;
    ev_io_start(m->loop, &m->signal_io);
    return 0;
}

void signals_stop(struct master *m)
{
    if (m->signal_fd == -1)
        return;
    ev_io_stop(m->loop, &m->signal_io);
    (void)close(m->signal_fd);
    m->signal_fd = -1;
}
