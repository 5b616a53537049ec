/* master/takeover_read.c: the letter of the program before, line by line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "master/guard.h"
#include "master/history.h"
#include "master/takeover.h"
#include "master/upgrade.h"
#include "master/words.h"
#include "proc/control.h"
#include "shm/entry.h"
#include "shm/tickets.h"

#define LETTER_MAX (512u << 20)
#define WORDS_MAX  80 /* of a line: a group has at most WORKERS_MAX descriptors */

/* ---- reading the letter ---- */

struct kind {
    const char *name;
    int words; /* at least */
    bool (*read)(struct master *m, char **words, int count);
};

static bool number(const char *word, uint32_t *out)
{
    uint64_t value;
    if (!words_number(word, UINT32_MAX, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

/* An open descriptor; from here on it is closed at exec again. */
static bool descriptor(struct takeover *t, const char *word, int *out)
{
    uint32_t value;
    int *grown = reallocarray(t->fds, t->fd_count + 1, sizeof *grown);
    if (grown == NULL || !number(word, &value) || fcntl((int)value, F_SETFD, FD_CLOEXEC) == -1) {
        t->fds = grown != NULL ? grown : t->fds;
        return false;
    }
    t->fds = grown;
    t->fds[t->fd_count++] = *out = (int)value;
    return true;
}

static bool read_from(struct master *m, char **w, int count UNUSED)
{
    (void)snprintf(m->takeover.from, sizeof m->takeover.from, "%s", w[1]);
    return true;
}

static bool read_back(struct master *m, char **w, int count UNUSED)
{
    m->takeover.back = strcmp(w[1], "1") == 0;
    return true;
}

static bool read_generation(struct master *m, char **w, int count UNUSED)
{
    return number(w[1], &m->last_generation);
}

static bool read_control(struct master *m, char **w, int count UNUSED)
{
    return number(w[1], &m->takeover.control_bytes);
}

static bool read_table(struct master *m, char **w, int count UNUSED)
{
    return descriptor(&m->takeover, w[1], &m->takeover.table_fd);
}

static bool read_last_listen(struct master *m, char **w, int count UNUSED)
{
    return number(w[1], &m->listens.last_id);
}

static bool read_program(struct master *m, char **w, int count UNUSED)
{
    (void)snprintf(m->program, sizeof m->program, "%s", w[1]);
    return true;
}

static bool read_old(struct master *m, char **w, int count UNUSED)
{
    return descriptor(&m->takeover, w[1], &m->takeover.old_fd);
}

static bool read_pid(struct master *m, char **w, int count UNUSED)
{
    m->pid_path = strdup(w[2]);
    return m->pid_path != NULL && descriptor(&m->takeover, w[1], &m->pid_fd);
}

static bool read_fds(struct takeover *t, struct listen_group *g, char **w, int count)
{
    for (int i = 0; i < count; i++) {
        if (g->count == WORKERS_MAX || !descriptor(t, w[i], &g->fds[g->count]))
            return false;
        g->count++;
    }
    return g->live <= g->count;
}

static bool is_datagram(const struct listen_group *g)
{
    int type = 0;
    socklen_t len = sizeof type;
    return g->count > 0 && getsockopt(g->fds[0], SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_DGRAM;
}

static bool read_listen(struct master *m, char **w, int count)
{
    char why[128];
    struct listen_group *g = calloc(1, sizeof *g);
    if (g == NULL)
        return false;
    g->next = m->listens.groups;
    m->listens.groups = g;
    g->v6only = w[2][0] == '1';
    g->shared = w[3][0] == '1';
    g->inherited = w[4][0] == '1';
    g->borrowed = m->takeover.rehearsal;
    g->in_use = true;
    (void)snprintf(g->text, sizeof g->text, "%s", w[6]);
    if (!number(w[1], &g->id) || !number(w[5], &g->live) ||
        net_addr_parse(w[6], &g->addr, why, sizeof why) == -1 ||
        !read_fds(&m->takeover, g, w + 7, count - 7))
        return false;
    g->datagram = is_datagram(g);
    return true;
}

static bool read_child(struct master *m, char **w, int count UNUSED)
{
    struct takeover *t = &m->takeover;
    uint32_t slot, pid;
    if (!number(w[1], &slot) || slot >= SLOT_MAX || !number(w[4], &pid))
        return false;
    struct takeover_child *c = &t->children[slot];
    c->pid = (pid_t)pid;
    return number(w[2], &c->index) && number(w[3], &c->role) && descriptor(t, w[5], &c->control_fd);
}

static bool read_health(struct master *m, char **w, int count UNUSED)
{
    struct takeover_health *h = calloc(1, sizeof *h);
    if (h == NULL || !number(w[1], &h->health) || h->health > HEALTH_UNHEALTHY) {
        free(h);
        return false;
    }
    (void)snprintf(h->pool, sizeof h->pool, "%s", w[2]);
    (void)snprintf(h->name, sizeof h->name, "%s", w[3]);
    h->next = m->takeover.health;
    m->takeover.health = h;
    return true;
}

static bool read_saved(struct master *m, char **w, int count UNUSED)
{
    m->takeover.saved = strdup(w[1]);
    return m->takeover.saved != NULL;
}

static bool read_configuration(struct master *m, char **w, int count UNUSED)
{
    m->takeover.configuration = strdup(w[1]);
    return m->takeover.configuration != NULL;
}

/* TLS sessions go on; without the keys they begin anew. */
static bool read_tickets(struct master *m, char **w, int count UNUSED)
{
    int fd;
    if (descriptor(&m->takeover, w[1], &fd) && tickets_adopt(fd) == -1)
        log_warning("upgrade: session tickets are lost: error=\"%s\"", strerror(errno));
    return true;
}

static bool read_reload(struct master *m, char **w, int count UNUSED)
{
    history_restore(m, w[1]);
    return true;
}

static const struct kind kinds[] = {
    {"from", 2, read_from},
    {"back", 2, read_back},
    {"generation", 2, read_generation},
    {"control", 2, read_control},
    {"table", 2, read_table},
    {"last_listen", 2, read_last_listen},
    {"program", 2, read_program},
    {"old", 2, read_old},
    {"pid", 3, read_pid},
    {"listen", 8, read_listen},
    {"child", 6, read_child},
    {"health", 4, read_health},
    {"saved", 2, read_saved},
    {"reload", 2, read_reload},
    {"tickets", 2, read_tickets},
    {"configuration", 2, read_configuration},
};

static bool read_line(struct master *m, char *line)
{
    char *words[WORDS_MAX];
    int count = words_split(line, words, WORDS_MAX);
    for (size_t i = 0; count > 0 && i < ARRAY_LEN(kinds); i++)
        if (strcmp(words[0], kinds[i].name) == 0)
            return count >= kinds[i].words && kinds[i].read(m, words, count);
    return count > 0; /* of a kind that another version knows */
}

static char *read_letter(int fd)
{
    struct stat st;
    char *text = NULL;
    if (fstat(fd, &st) == 0 && st.st_size < (off_t)LETTER_MAX)
        text = malloc((size_t)st.st_size + 1);
    ssize_t n = text == NULL ? -1 : pread(fd, text, (size_t)st.st_size, 0);
    if (n >= 0)
        text[n] = '\0';
    return text;
}

static int parse(struct master *m, char *text)
{
    static const char first[] = "ballast-upgrade 1\n", last[] = "\nend\n";
    size_t len = strlen(text);
    if (strncmp(text, first, strlen(first)) != 0 || len < strlen(last) ||
        strcmp(text + len - strlen(last), last) != 0)
        return -1;
    for (char *save, *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        if (!read_line(m, line)) {
            log_error("upgrade: a line of kind \"%.20s\" is not understood", line);
            return -1;
        }
    return m->takeover.table_fd > 0 || m->takeover.rehearsal ? 0 : -1;
}

int takeover_read(struct master *m)
{
    const char *number_text = getenv(UPGRADE_ENV);
    struct takeover *t = &m->takeover;
    t->table_fd = t->old_fd = -1;
    if (number_text == NULL)
        return 0;
    int fd = (int)strtol(number_text, NULL, 10);
    (void)unsetenv(UPGRADE_ENV);
    t->active = true;
    t->rehearsal = getenv(UPGRADE_TEST_ENV) != NULL;
    if (t->rehearsal)
        (void)unsetenv("NOTIFY_SOCKET"); /* the service manager hears of the instance only */
    char *text = read_letter(fd);
    (void)close(fd);
    t->letter = text == NULL ? NULL : strdup(text);
    int result = t->letter == NULL ? -1 : parse(m, text);
    free(text);
    if (result == -1)
        log_error("upgrade: what the program before this one handed over cannot be used");
    else
        guard_begin(m);
    return result;
}
