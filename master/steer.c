#include "master/steer.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include "base/log.h"

/* May new connections go to this worker? */
static bool takes_new(const struct master *m, uint32_t worker)
{
    const struct process *p = &m->processes[(m->worker_base + worker) % WORKERS_MAX];
    return worker < m->current->conf->workers && p->state != PROCESS_BACKOFF &&
           p->state != PROCESS_NONE && p->state != PROCESS_DRAINING;
}

/* Picks a number below `count` at random and returns the place that stands for it. */
static uint32_t build(struct sock_filter *code, const uint32_t *places, uint32_t count)
{
    uint32_t n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                             (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
    code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count);
    for (uint32_t i = 0; i + 1 < count; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, places[i]);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, places[count - 1]);
    return n;
}

static void attach(const struct listen_group *g, const uint32_t *places, uint32_t count)
{
    struct sock_filter code[2 * WORKERS_MAX + 2];
    struct sock_fprog program = {.len = (unsigned short)build(code, places, count), .filter = code};
    if (setsockopt(g->fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == -1)
        log_warning("cannot steer connections away from a missing worker: address=%s error=\"%s\"",
                    g->text, strerror(errno));
}

static void detach(const struct listen_group *g)
{
    int unused = 0;
    if (setsockopt(g->fds[0], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == -1 &&
        errno != ENOENT)
        log_warning("cannot spread connections over all workers again: address=%s error=\"%s\"",
                    g->text, strerror(errno));
}

static void update(const struct master *m, const struct listen_group *g)
{
    uint32_t places[WORKERS_MAX], count = 0;
    for (uint32_t i = 0; i < g->live; i++)
        if (takes_new(m, i))
            places[count++] = i;
    if (count == 0 || count == g->live)
        detach(g);
    else
        attach(g, places, count);
}

void steer_update(struct master *m)
{
    if (m->stop.level != STOP_NONE)
        return;
    for (const struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        if (!g->shared && !g->datagram && g->live > 0)
            update(m, g);
}

static void leave_group(const struct listen_group *g, int fd)
{
    if (connect(fd, &g->addr.u.sa, g->addr.len_bytes) == -1)
        log_warning("cannot steer datagrams away from a worker: address=%s error=\"%s\"", g->text,
                    strerror(errno));
}

/* It left when there were fewer workers. */
static void join_group(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
        connect(fd, &nobody, sizeof nobody) == -1)
        log_warning("cannot steer datagrams back to a worker: %s", strerror(errno));
}

void steer_datagrams(const struct master *m, uint32_t workers)
{
    for (const struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        for (uint32_t i = 0; g->datagram && !g->shared && i < g->count; i++)
            if (i < workers)
                join_group(g->fds[i]);
            else
                leave_group(g, g->fds[i]);
}
