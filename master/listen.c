#include "master/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "master/lease_socket.h"
#include "master/listen_open.h"

#define BACKLOG 4096

struct listen_group *listen_find(const struct master *m, uint32_t id)
{
    struct listen_group *g = m->listens.groups;
    while (g != NULL && g->id != id)
        g = g->next;
    return g;
}

/* "*:80" serves both families, "[::]:80" only IPv6, so that it can stand beside "0.0.0.0:80". */
static bool is_v6only(const struct conf_bind *b)
{
    return b->addr.u.sa.sa_family == AF_INET6 && b->text[0] != '*';
}

/* A socket that only one kind of process can use: an address that moves between a listener and
 * admin is opened anew while the old one still listens, and no connection is refused. */
static bool fits(const struct listen_group *g, const struct conf_bind *b, bool admin)
{
    return g->inherited || b->addr.u.sa.sa_family == AF_UNIX ||
           (g->v6only == is_v6only(b) && g->shared == admin);
}

static struct listen_group *find_addr(const struct master *m, const struct conf_bind *b, bool admin)
{
    for (struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        if (net_addr_equal(&g->addr, &b->addr) && g->datagram == b->datagram && fits(g, b, admin))
            return g;
    return NULL;
}

/* Do we ourselves hold a socket that the probe would stumble over? ("*:80" becomes "10.0.0.1:80" in
 * a reload.) */
static bool own_port(const struct master *m, const struct conf_bind *b)
{
    uint16_t port = net_addr_port(&b->addr);
    for (const struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        if (g->count > 0 && port != 0 && net_addr_port(&g->addr) == port &&
            g->datagram == b->datagram)
            return true;
    return false;
}

static void explain(struct conf_errors *errors, const struct conf_bind *b)
{
    const char *hint = "";
    if (errno == EADDRINUSE)
        hint = " (another instance, or another server, is listening there)";
    else if (errno == EACCES && net_addr_port(&b->addr) != 0)
        hint = " (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
    conf_errors_add(errors, b->pos, "cannot listen on %s: %s%s", b->text, strerror(errno), hint);
}

static struct listen_group *add_group(struct master *m, const struct conf_bind *b, bool admin)
{
    struct listen_group *g = calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    g->id = ++m->listens.last_id;
    g->addr = b->addr;
    net_addr_format(&b->addr, g->text, sizeof g->text);
    g->v6only = is_v6only(b);
    g->datagram = b->datagram;
    g->shared = admin || b->addr.u.sa.sa_family == AF_UNIX;
    g->next = m->listens.groups;
    m->listens.groups = g;
    return g;
}

static int fill(struct listen_group *g, const struct conf_bind *b, uint32_t workers,
                struct conf_errors *errors)
{
    uint32_t want = g->shared ? 1 : workers;
    while (g->count < want) {
        int fd = listen_open(&g->addr, g->v6only, g->datagram);
        if (fd == -1) {
            explain(errors, b);
            return -1;
        }
        g->fds[g->count++] = fd;
    }
    if (g->addr.u.sa.sa_family == AF_UNIX)
        g->live = g->count;
    return 0;
}

static int prepare(struct master *m, struct conf_bind *b, bool admin, uint32_t workers,
                   struct conf_errors *errors)
{
    struct listen_group *g = find_addr(m, b, admin);
    if (g == NULL) {
        if (!own_port(m, b) && listen_probe(&b->addr, is_v6only(b), b->datagram) == -1) {
            explain(errors, b);
            return -1;
        }
        g = add_group(m, b, admin);
    }
    if (g == NULL) {
        conf_errors_add(errors, b->pos, "out of memory");
        return -1;
    }
    b->id = g->id;
    g->wanted = true;
    return fill(g, b, workers, errors);
}

int listen_prepare(struct master *m, struct conf *conf, uint32_t workers,
                   struct conf_errors *errors)
{
    int result = 0;
    for (uint32_t i = 0; i < conf->listener_count; i++)
        for (uint32_t b = 0; b < conf->listeners[i].bind_count; b++)
            if (prepare(m, &conf->listeners[i].binds[b], false, workers, errors) == -1)
                result = -1;
    for (uint32_t b = 0; b < conf->admin.bind_count; b++)
        if (prepare(m, &conf->admin.binds[b], true, workers, errors) == -1)
            result = -1;
    return result;
}

static int arm(struct listen_group *g, struct conf_errors *errors)
{
    for (; g->live < g->count; g->live++)
        if (!g->datagram && listen(g->fds[g->live], BACKLOG) == -1) {
            conf_errors_add(errors, (struct conf_pos){0}, "cannot listen on %s: %s", g->text,
                            strerror(errno));
            return -1;
        }
    return 0;
}

int listen_arm(struct master *m, struct conf_errors *errors)
{
    for (struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        if (g->wanted && arm(g, errors) == -1)
            return -1;
    return 0;
}

/* ---- closing
 * -----------------------------------------------------------------------------------------------
 */
static void close_down_to(struct listen_group *g, uint32_t keep)
{
    while (g->count > keep)
        (void)close(g->fds[--g->count]); /* the last first: the others keep their places in the
                                            kernel's group */
    if (g->live > g->count)
        g->live = g->count;
    if (keep == 0 && g->addr.u.sa.sa_family == AF_UNIX && !g->inherited && !g->borrowed)
        (void)unlink(g->addr.u.un.sun_path);
}

static void remove_if(struct master *m, bool (*gone)(const struct listen_group *))
{
    for (struct listen_group **at = &m->listens.groups; *at != NULL;) {
        struct listen_group *g = *at;
        if (!gone(g)) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        close_down_to(g, 0);
        free(g);
    }
}

static bool not_wanted(const struct listen_group *g)
{
    return !g->wanted;
}

static bool not_in_use(const struct listen_group *g)
{
    return !g->in_use;
}

static bool any(const struct listen_group *g UNUSED)
{
    return true;
}

void listen_commit(struct master *m)
{
    remove_if(m, not_wanted);
    for (struct listen_group *g = m->listens.groups; g != NULL; g = g->next) {
        g->in_use = true;
        g->wanted = false;
    }
}

void listen_abort(struct master *m)
{
    remove_if(m, not_in_use);
    for (struct listen_group *g = m->listens.groups; g != NULL; g = g->next) {
        g->wanted = false;
        close_down_to(g, g->live);
    }
}

void listen_trim(struct master *m, uint32_t workers)
{
    for (struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        if (!g->shared && g->count > workers)
            close_down_to(g, workers);
}

static bool names(const struct conf *conf, const struct listen_group *g)
{
    for (uint32_t i = 0; i < conf->admin.bind_count; i++)
        if (conf->admin.binds[i].id == g->id)
            return true;
    return false;
}

void listen_close_data(struct master *m)
{
    for (struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        if (!names(m->current->conf, g))
            close_down_to(g, 0);
}

void listen_close_all(struct master *m)
{
    remove_if(m, any);
}

/* ---- what a process gets
 * --------------------------------------------------------------------------------------- */

/* Has it a socket of this bind id already? */
static bool has(const struct process *p, uint32_t id)
{
    const struct conf *now = p->master->current->conf;
    if (p->role->slot_role == SLOT_WORKER)
        return conf_listener_of_bind(now, id) != NULL;
    for (uint32_t i = 0; i < now->admin.bind_count; i++)
        if (now->admin.binds[i].id == id)
            return true;
    return false;
}

static uint32_t collect(const struct master *m, const struct process *p,
                        const struct conf_bind *binds, uint32_t count, bool fresh,
                        struct child_listen *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct listen_group *g = listen_find(m, binds[i].id);
        if (g == NULL || (fresh && has(p, g->id)))
            continue;
        uint32_t place = g->shared ? 0 : p->index;
        if (place < g->count)
            out[n++] = (struct child_listen){.bind_id = g->id, .fd = g->fds[place]};
    }
    return n;
}

uint32_t listen_of(const struct master *m, const struct process *p, const struct conf *conf,
                   bool fresh, struct child_listen *out)
{
    if (p->role->slot_role == SLOT_ADMIN)
        return collect(m, p, conf->admin.binds, conf->admin.bind_count, fresh, out);
    if (p->role->slot_role == SLOT_BROKER)
        return lease_socket_of(m, fresh, out);
    uint32_t n = 0;
    for (uint32_t i = 0; p->role->slot_role == SLOT_WORKER && i < conf->listener_count; i++)
        n += collect(m, p, conf->listeners[i].binds, conf->listeners[i].bind_count, fresh, out + n);
    return n;
}

uint32_t listen_count_max(const struct conf *conf)
{
    uint32_t n = conf->admin.bind_count;
    for (uint32_t i = 0; i < conf->listener_count; i++)
        n += conf->listeners[i].bind_count;
    return n;
}
