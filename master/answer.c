#include "master/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/json.h"
#include "base/log.h"
#include "master/processes.h"
#include "shm/count.h"
#include "shm/events.h"

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

static void tell_admin(struct master *m, uint32_t result, struct json *j)
{
    struct process *admin = &m->processes[SLOT_ADMIN_INDEX];
    struct ctl_msg msg = {.type = CTL_RELOADED, .number = result, .generation = m->current->number};
    size_t len;
    const char *text = json_finish(j, &len);
    int fd = -1;
    if (len < sizeof msg.text)
        memcpy(msg.text, text, len + 1);
    else
        fd = in_memory(text, len);
    if (len >= sizeof msg.text && fd == -1)
        log_error("cannot tell admin how the reload went: error=\"%s\"", strerror(errno));
    msg.fd_count = fd == -1 ? 0 : 1;
    if (process_alive(admin))
        process_send(admin, &msg, &fd);
    if (fd != -1)
        (void)close(fd);
}

static void changes_to_admin(struct master *m, const struct conf_change *changes)
{
    struct json j;
    json_init(&j);
    json_object_begin(&j);
    json_kv_uint(&j, "generation", m->current->number);
    json_key(&j, "changes");
    json_array_begin(&j);
    for (; changes != NULL; changes = changes->next)
        json_string(&j, changes->text);
    json_array_end(&j);
    json_object_end(&j);
    tell_admin(m, 0, &j);
    json_free(&j);
}

/* "file:line: error: text", or the text alone when it is about no place in a file. */
static const char *format(const struct conf_error *e, char *out, size_t cap)
{
    if (e->pos.line == 0)
        (void)snprintf(out, cap, "%s", e->text);
    else
        (void)snprintf(out, cap, "%s:%u: error: %s", e->pos.file, e->pos.line, e->text);
    return out;
}

static void errors_to_admin(struct master *m, const struct conf_errors *errors)
{
    char line[1024];
    struct json j;
    json_init(&j);
    json_object_begin(&j);
    json_key(&j, "errors");
    json_array_begin(&j);
    for (const struct conf_error *e = errors->first; e != NULL; e = e->next)
        json_string(&j, format(e, line, sizeof line));
    json_array_end(&j);
    json_object_end(&j);
    tell_admin(m, 1, &j);
    json_free(&j);
}

void answer_changed(struct master *m, const struct conf_change *changes, bool to_admin)
{
    char text[128];
    uint32_t count = 0;
    for (const struct conf_change *c = changes; c != NULL; c = c->next, count++)
        log_info("changed: %s", c->text);
    (void)snprintf(text, sizeof text, "generation %u, %u changes%s%.80s", m->current->number, count,
                   count > 0 ? ": " : "", count > 0 ? changes->text : "");
    event_write(&m->table, INDEX_NONE, "reload", "configuration", "offered", "serving", text);
    count_add(&m->table.header->reloads_ok, 1);
    if (to_admin)
        changes_to_admin(m, changes);
}

void answer_failed(struct master *m, const struct conf_errors *errors, bool to_admin)
{
    char line[1024];
    for (const struct conf_error *e = errors->first; e != NULL; e = e->next)
        log_error("%s", format(e, line, sizeof line));
    log_error("reload failed: generation %u goes on serving: errors=%u", m->current->number,
              errors->count);
    event_write(&m->table, INDEX_NONE, "reload", "configuration", "offered", "refused",
                errors->first == NULL ? "" : format(errors->first, line, sizeof line));
    count_add(&m->table.header->reloads_failed, 1);
    if (to_admin)
        errors_to_admin(m, errors);
}
