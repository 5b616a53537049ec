/*
 * master/upgrade_text.c: what one program tells the next, a line per thing. Text, so that it can be
 * read by a program whose structures are different; lines of an unknown kind are passed over.
 */
#include <stdlib.h>
#include <string.h>
#include "master/processes.h"
#include "master/saved.h"
#include "master/upgrade.h"
#include "master/words.h"
#include "proc/control.h"
#include "shm/entry.h"
#include "shm/tickets.h"

static void put_group(FILE *out, const struct listen_group *g)
{
    char address[NET_ADDR_STRLEN];
    (void)fprintf(out, "listen %u %d %d %d %u", g->id, g->v6only, g->shared, g->inherited, g->live);
    words_put(out, net_addr_format(&g->addr, address, sizeof address));
    for (uint32_t i = 0; i < g->count; i++)
        (void)fprintf(out, " %d", g->fds[i]);
    (void)fputc('\n', out);
}

static void put_children(FILE *out, struct master *m)
{
    PROCESS_EACH(m, p)
    if (process_alive(p))
        (void)fprintf(out, "child %u %u %u %d %d\n", p->slot, p->index,
                      (unsigned)p->role->slot_role, (int)p->pid, p->control_fd);
}

static void put_health(FILE *out, const struct table *t)
{
    for (uint32_t i = 0; i < word_get(&t->header->entries_high); i++) {
        const struct entry *e = &t->entries[i];
        uint32_t health = word_get(&e->health);
        if (word_get(&e->state) != ROW_LIVE || health == HEALTH_UNKNOWN)
            continue;
        (void)fprintf(out, "health %u", health);
        words_put(out, t->pools[word_get(&e->pool)].name);
        words_put(out, e->name);
        (void)fputc('\n', out);
    }
}

static void put_saved(FILE *out, struct table *t)
{
    uint32_t records;
    char *text = saved_format(t, &records);
    if (text != NULL && records > 0) {
        (void)fputs("saved", out);
        words_put(out, text);
        (void)fputc('\n', out);
    }
    free(text);
}

static void put_history(FILE *out, const struct history *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        (void)fputs("reload", out);
        words_put(out, h->items[i]);
        (void)fputc('\n', out);
    }
}

static void put_paths(FILE *out, const struct master *m)
{
    (void)fputs("program", out);
    words_put(out, m->program);
    (void)fprintf(out, "\nold %d\n", m->program_fd);
    if (m->pid_path == NULL)
        return;
    (void)fprintf(out, "pid %d", m->pid_fd);
    words_put(out, m->pid_path);
    (void)fputc('\n', out);
}

static void put_configuration(FILE *out, const struct master *m)
{
    char *text = conf_dump_text(m->current->conf);
    if (text != NULL) {
        (void)fputs("configuration", out);
        words_put(out, text);
        (void)fputc('\n', out);
    }
    free(text);
}

/* What there can be only one of. */
static void put_instance(FILE *out, struct master *m)
{
    (void)fprintf(out, "table %d\n", m->table.fd);
    if (tickets_fd() != -1)
        (void)fprintf(out, "tickets %d\n", tickets_fd());
    put_paths(out, m);
    put_configuration(out, m);
    put_children(out, m);
    put_health(out, &m->table);
    put_saved(out, &m->table);
    put_history(out, &m->history);
}

char *upgrade_format(struct master *m, bool rehearsal)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return NULL;
    (void)fprintf(out, "ballast-upgrade 1\nfrom %s\nback 0\ngeneration %u\ncontrol %zu\n",
                  BALLAST_VERSION, m->last_generation, sizeof(struct ctl_msg));
    (void)fprintf(out, "last_listen %u\n", m->listens.last_id);
    for (const struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        put_group(out, g);
    if (!rehearsal)
        put_instance(out, m);
    (void)fputs("end\n", out);
    bool bad = ferror(out) != 0;
    if (fclose(out) == 0 && !bad)
        return text;
    free(text);
    return NULL;
}
