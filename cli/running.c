/* cli/running.c: see cli/running.h. */
#include "cli/running.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shm/count.h"

#define TEXT_MAX (256u << 20)

/* malloc'd; NULL with errno. */
static char *read_all(const char *path)
{
    struct stat st;
    size_t len = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    if (fd != -1 && fstat(fd, &st) == 0 && st.st_size < TEXT_MAX)
        text = malloc((size_t)st.st_size + 1);
    while (text && len < (size_t)st.st_size &&
           (n = pread(fd, text + len, (size_t)st.st_size - len, (off_t)len)) > 0)
        len += (size_t)n;
    if (text)
        text[len] = '\0';
    if (fd != -1)
        close(fd);
    return text;
}

const struct conf *running_conf(const struct instance *i, struct arena *arena, const char *command)
{
    char path[64];
    struct conf_errors errors;
    uint32_t fd = word_get(&i->table.header->effective_fd);
    snprintf(path, sizeof(path), "/proc/%u/fd/%u", i->pid, fd);
    char *text = read_all(path);
    if (!text) {
        fprintf(stderr,
                "ballast %s: cannot read the running configuration of pid %u: %s (run as root or "
                "as the user who started it)\n",
                command, i->pid, strerror(errno));
        return NULL;
    }
    conf_errors_init(&errors, arena);
    struct conf *conf = conf_load_text(text, "running configuration", arena, &errors);
    if (conf)
        conf_take_fingerprints(conf, text, arena);
    else
        fputs(conf_errors_format(&errors), stderr);
    free(text);
    return conf;
}
