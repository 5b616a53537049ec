#include "health/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"

#define CHECK_MAGIC 0x43484B31u /* "CHK1" */
/* A deadline that is served this late means that this process stood still, not the backend. */
#define STALL_US 500000u

const struct check_type check_types[] = {
    {"http", CONF_HEALTH_HTTP, check_http_start, check_http_forget, NULL, "\x08http/1.1"},
    {"tcp", CONF_HEALTH_TCP, check_tcp_start, check_tcp_forget, NULL, NULL},
    {"tls", CONF_HEALTH_TLS, check_tls_start, NULL, NULL, NULL},
    {"grpc", CONF_HEALTH_GRPC, check_grpc_start, check_grpc_forget, NULL, "\x02h2"},
    {"udp", CONF_HEALTH_UDP, check_udp_start, NULL, check_udp_silence, NULL},
    {NULL, CONF_HEALTH_NONE, NULL, NULL, NULL, NULL},
};

/* Lets go of everything the check holds; afterwards it may be started again. */
static void release(struct check *c)
{
    ev_io_stop(c->loop, &c->io);
    ev_timer_stop(c->loop, &c->deadline);
    if (c->state != NULL)
        c->type->forget(c);
    if (c->tls != NULL)
        check_close_tls(c);
    if (c->fd != -1 && close(c->fd) == -1)
        assert(errno != EBADF);
    c->fd = -1;
}

static void finish(struct check *c, struct check_result *r)
{
    r->latency_us = (uint32_t)(clock_mono_us() - c->started_us);
    release(c);
    c->done(c, r);
}

void check_pass(struct check *c, uint32_t code, const char *fmt, ...)
{
    struct check_result r = {.outcome = CHECK_PASSED, .code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(r.reason, sizeof(r.reason), fmt, args);
    va_end(args);
    finish(c, &r);
}

void check_fail(struct check *c, uint32_t code, const char *fmt, ...)
{
    struct check_result r = {.outcome = CHECK_FAILED, .code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(r.reason, sizeof(r.reason), fmt, args);
    va_end(args);
    finish(c, &r);
}

void check_impossible(struct check *c, const char *reason)
{
    struct check_result r = {.outcome = CHECK_IMPOSSIBLE};
    snprintf(r.reason, sizeof(r.reason), "%s", reason);
    finish(c, &r);
}

static bool own_fault(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM ||
           err == EADDRNOTAVAIL;
}

void check_fail_errno(struct check *c, const char *what, int err)
{
    if (own_fault(err))
        check_impossible(c, strerror(err));
    else
        check_fail(c, (uint32_t)-err, "%s: %s", what, strerror(err));
}

static void on_io(struct ev_loop *loop UNUSED, ev_io *w, int revents UNUSED)
{
    struct check *c = CONTAINER_OF(w, struct check, io);
    MAGIC_CHECK(c, CHECK_MAGIC);
    c->ready(c);
}

static void on_deadline(struct ev_loop *loop UNUSED, ev_timer *w, int revents UNUSED)
{
    struct check *c = CONTAINER_OF(w, struct check, deadline);
    MAGIC_CHECK(c, CHECK_MAGIC);
    uint64_t timeout_us = (uint64_t)c->health->timeout_ms * 1000;
    if (clock_mono_us() - c->started_us > timeout_us + STALL_US)
        check_impossible(c, "the health process was stopped or starved of CPU");
    else if (c->type->silence != NULL)
        c->type->silence(c);
    else
        check_fail(c, (uint32_t)-ETIMEDOUT, "timeout after %u ms while %s", c->health->timeout_ms,
                   c->phase);
}

void check_init(struct check *c, struct ev_loop *loop,
                void (*done)(struct check *c, const struct check_result *r))
{
    memset(c, 0, sizeof(*c));
    MAGIC_SET(c, CHECK_MAGIC);
    c->fd = -1;
    c->loop = loop;
    c->done = done;
    ev_init(&c->io, on_io);
    ev_init(&c->deadline, on_deadline);
    /* An answer that lies in the socket goes before the deadline that expired in the same turn of
     * the loop. */
    ev_set_priority(&c->io, 1);
}

void check_start(struct check *c, const struct conf_health *health, const struct net_addr *addr,
                 const char *endpoint)
{
    const struct check_type *row = check_types;
    while (row->name != NULL && row->type != health->type)
        row++;
    assert(row->name != NULL);
    c->type = row;
    c->health = health;
    c->addr = addr;
    c->endpoint = endpoint;
    c->started_us = clock_mono_us();
    c->sent_bytes = 0;
    c->connected = false;
    ev_timer_set(&c->deadline, (double)health->timeout_ms / 1000, 0.);
    ev_timer_start(c->loop, &c->deadline);
    row->start(c);
}

void check_abort(struct check *c)
{
    release(c);
}

void check_wait(struct check *c, int events, const char *phase, void (*ready)(struct check *c))
{
    ev_io_stop(c->loop, &c->io);
    ev_io_set(&c->io, c->fd, events);
    ev_io_start(c->loop, &c->io);
    c->phase = phase;
    c->ready = ready;
}
