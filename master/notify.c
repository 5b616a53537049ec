#include "master/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"

static PRINTF(2, 3) void tell(struct master *m, const char *fmt, ...)
{
    char text[512];
    va_list va;
    if (m->notify.fd == -1)
        return;
    va_start(va, fmt);
    int n = vsnprintf(text, sizeof text, fmt, va);
    va_end(va);
    if (n > 0 && sendto(m->notify.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                        &m->notify.addr.u.sa, m->notify.addr.len_bytes) == -1)
        log_warning("cannot tell the service manager: error=\"%s\"", strerror(errno));
}

static void on_watchdog(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    tell(m, "WATCHDOG=1");
}

static bool meant_for_us(const char *pid)
{
    return pid == NULL || strtol(pid, NULL, 10) == getpid();
}

static void start_watchdog(struct master *m)
{
    const char *usec = getenv("WATCHDOG_USEC");
    double interval_s = usec == NULL ? 0.0 : strtod(usec, NULL) / 2e6; /* half of the limit */
    if (interval_s <= 0.0 || !meant_for_us(getenv("WATCHDOG_PID")))
        return;
    ev_timer_init(&m->notify.watchdog, on_watchdog, interval_s, interval_s);
    m->notify.watchdog.data = m;
    ev_timer_start(m->loop, &m->notify.watchdog);
}

/* A path, or @name in the abstract namespace. */
static bool read_address(const char *text, struct net_addr *out)
{
    size_t len = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || len >= sizeof out->u.un.sun_path)
        return false;
    *out = (struct net_addr){0};
    out->u.un.sun_family = AF_UNIX;
    memcpy(out->u.un.sun_path, text, len);
    if (text[0] == '@')
        out->u.un.sun_path[0] = '\0';
    out->len_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

void notify_init(struct master *m)
{
    const char *path = getenv("NOTIFY_SOCKET");
    m->notify.fd = -1;
    if (path == NULL || path[0] == '\0')
        return;
    if (read_address(path, &m->notify.addr))
        m->notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (m->notify.fd == -1)
        log_warning("cannot use NOTIFY_SOCKET=%s", path);
    else
        start_watchdog(m);
}

void notify_outcome(struct master *m, const char *text)
{
    (void)snprintf(m->notify.outcome, sizeof m->notify.outcome, "%s", text);
}

void notify_ready(struct master *m)
{
    const struct conf *conf = m->current->conf;
    tell(
        m,
        "READY=1\nSTATUS=Serving generation %u: %u workers, %u listeners, %u pools%s%s\nMAINPID=%d",
        m->current->number, conf->workers, conf->listener_count, conf->pool_count,
        m->notify.outcome[0] != '\0' ? "; the last reload was refused: " : "", m->notify.outcome,
        (int)getpid());
}

void notify_reloading(struct master *m)
{
    tell(m, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading the configuration",
         (unsigned long long)clock_mono_us());
}

void notify_stopping(struct master *m)
{
    tell(m, "STOPPING=1\nSTATUS=Finishing what is in flight");
}

void notify_close(struct master *m)
{
    if (m->notify.fd == -1)
        return;
    ev_timer_stop(m->loop, &m->notify.watchdog);
    (void)close(m->notify.fd);
    m->notify.fd = -1;
}
