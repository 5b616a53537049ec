#include "master/effective.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n <= 0)
            return -1;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

void effective_publish(struct master *m)
{
    char *text = conf_dump_text(m->current->conf);
    char *files = conf_fingerprints(m->current->conf);
    int fd = text == NULL ? -1 : memfd_create("ballast-effective", MFD_CLOEXEC);
    if (fd == -1 || write_all(fd, text, strlen(text)) == -1 || files == NULL ||
        write_all(fd, files, strlen(files)) == -1)
        log_warning("`ballast plan` cannot see this generation: error=\"%s\"", strerror(errno));
    word_set(&m->table.header->effective_fd, fd == -1 ? 0 : (uint32_t)fd);
    if (m->effective_fd > 0)
        (void)close(m->effective_fd);
    m->effective_fd = fd;
    free(text);
    free(files);
}
