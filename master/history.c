#include "master/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "master/processes.h"

/* A text that does not fit in a message travels in a memfd. -1 with errno. */
static int in_memory(const char *text, size_t len)
{
    int fd = memfd_create("ballast-answer", MFD_CLOEXEC);
    if (fd == -1)
        return -1;
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, text + done, len - done);
        if (n == -1) {
            int saved = errno;
            (void)close(fd);
            errno = saved;
            return -1;
        }
        done += (size_t)n;
    }
    (void)lseek(fd, 0, SEEK_SET);
    return fd;
}

void history_send(struct master *m, struct ctl_msg *msg, const char *text, size_t len_bytes)
{
    struct process *admin = &m->processes[SLOT_ADMIN_INDEX];
    int fd = -1;
    if (len_bytes < sizeof msg->text)
        memcpy(msg->text, text, len_bytes + 1);
    else
        fd = in_memory(text, len_bytes);
    if (len_bytes >= sizeof msg->text && fd == -1)
        log_error("cannot tell admin of the reload: error=\"%s\"", strerror(errno));
    msg->fd_count = fd == -1 ? 0 : 1;
    if (process_alive(admin) && admin->state != PROCESS_DRAINING)
        process_send(admin, msg, &fd);
    if (fd != -1)
        (void)close(fd);
}

void history_tell(struct master *m)
{
    struct ctl_msg msg = {.type = CTL_RELOADS, .generation = m->current->number};
    size_t len = 0, at = 0;
    for (uint32_t i = 0; i < m->history.count; i++)
        len += strlen(m->history.items[i]) + 1;
    char *text = malloc(len + 3);
    if (text == NULL)
        return;
    text[at++] = '[';
    for (uint32_t i = m->history.count; i-- > 0;) { /* the newest first */
        const char *item = m->history.items[i];
        size_t item_len = strlen(item);
        memcpy(text + at, item, item_len);
        at += item_len;
        if (i > 0)
            text[at++] = ',';
    }
    text[at++] = ']';
    text[at] = '\0';
    history_send(m, &msg, text, at);
    free(text);
}

void history_restore(struct master *m, const char *item)
{
    struct history *h = &m->history;
    char *copy = strdup(item);
    if (copy == NULL)
        return;
    if (h->count == HISTORY_MAX) {
        free(h->items[0]);
        memmove(h->items, h->items + 1, (HISTORY_MAX - 1) * sizeof h->items[0]);
        h->count--;
    }
    h->items[h->count++] = copy;
}

void history_add(struct master *m, const char *item)
{
    history_restore(m, item);
    history_tell(m);
}

void history_free(struct master *m)
{
    while (m->history.count > 0)
        free(m->history.items[--m->history.count]);
}
