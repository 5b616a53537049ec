#include "master/rehearsal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "master/stop.h"
#include "master/upgrade.h"
#include "proc/title.h"

#define LIMIT_S 30.0

/* The letter and the listening sockets. NULL without memory. */
static int *collect(const struct master *m, int letter_fd, uint32_t *count)
{
    uint32_t room = 1;
    for (const struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        room += g->count;
    int *fds = calloc(room, sizeof *fds);
    *count = 0;
    if (fds == NULL)
        return NULL;
    fds[(*count)++] = letter_fd;
    for (const struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        for (uint32_t i = 0; i < g->count; i++)
            fds[(*count)++] = g->fds[i];
    return fds;
}

static int begin(struct master *m, int letter_fd, trial_over *over)
{
    char number[16];
    struct spawn_keep keep;
    keep.fds = collect(m, letter_fd, &keep.count);
    if (keep.fds == NULL || title_arguments() == NULL) {
        free(keep.fds);
        errno = ENOMEM;
        return -1;
    }
    (void)snprintf(number, sizeof number, "%d", letter_fd);
    (void)setenv(UPGRADE_ENV, number, 1);
    int result = trial_begin(m, title_arguments(), keep, LIMIT_S, over);
    int saved = errno;
    (void)unsetenv(UPGRADE_ENV);
    free(keep.fds);
    errno = saved;
    return result;
}

int rehearsal_begin(struct master *m, trial_over *over)
{
    char *letter = upgrade_format(m, true);
    int fd = letter == NULL ? -1 : upgrade_write_letter(letter);
    int result = fd == -1 ? -1 : begin(m, fd, over);
    int saved = errno;
    free(letter);
    if (fd != -1)
        (void)close(fd);
    errno = saved;
    return result;
}

/* ---- the new program ---- */

int rehearsal_table(struct master *m, char *why, size_t why_cap)
{
    if (table_create(&m->table, m->current->conf->path, why, why_cap) == -1)
        return -1;
    table_unlink(&m->table); /* its children have it by inheritance */
    return 0;
}

void rehearsal_passed(struct master *m)
{
    (void)puts("rehearsed");
    stop_request(m, STOP_NOW);
}
