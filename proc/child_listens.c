#include "proc/child_listens.h"

#include <stdlib.h>
#include <unistd.h>

int child_listens_add(struct child_listens *l, uint32_t bind_id, int fd)
{
    struct child_listen *grown = reallocarray(l->items, l->count + 1, sizeof *grown);
    if (grown == NULL)
        return -1;
    l->items = grown;
    l->items[l->count++] = (struct child_listen){.bind_id = bind_id, .fd = fd};
    return 0;
}

void child_listens_clear(struct child_listens *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        (void)close(l->items[i].fd);
    free(l->items);
    *l = (struct child_listens){0};
}

int child_listens_room(struct child *c, const struct child_listens *fresh)
{
    struct child_listen *grown =
        reallocarray(c->listens, c->listen_count + fresh->count + 1, sizeof *grown);
    if (grown == NULL)
        return -1;
    c->listens = grown;
    return 0;
}

void child_listens_merge(struct child *c, struct child_listens *fresh)
{
    for (uint32_t i = 0; i < fresh->count; i++) {
        if (child_listen_fd(c, fresh->items[i].bind_id) == -1)
            c->listens[c->listen_count++] = fresh->items[i];
        else
            (void)close(fresh->items[i].fd);
    }
    free(fresh->items);
    *fresh = (struct child_listens){0};
}

int child_listen_fd(const struct child *c, uint32_t bind_id)
{
    for (uint32_t i = 0; i < c->listen_count; i++)
        if (c->listens[i].bind_id == bind_id)
            return c->listens[i].fd;
    return -1;
}

static bool names(const struct conf_bind *binds, uint32_t count, uint32_t bind_id)
{
    for (uint32_t i = 0; i < count; i++)
        if (binds[i].id == bind_id)
            return true;
    return false;
}

static bool configured(const struct child *c, uint32_t bind_id)
{
    const struct conf *conf = c->conf;
    if (c->role->slot_role == SLOT_ADMIN)
        return names(conf->admin.binds, conf->admin.bind_count, bind_id);
    return conf_listener_of_bind(conf, bind_id) != NULL;
}

void child_listens_prune(struct child *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->listen_count; i++) {
        if (configured(c, c->listens[i].bind_id))
            c->listens[kept++] = c->listens[i];
        else
            (void)close(c->listens[i].fd);
    }
    c->listen_count = kept;
}

void child_listens_close(struct child *c)
{
    for (uint32_t i = 0; i < c->listen_count; i++)
        (void)close(c->listens[i].fd);
    c->listen_count = 0;
}
