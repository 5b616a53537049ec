/* Preloaded into an instance: counts allocations per process in a shared file (MALLOC_COUNT_FILE),
 * a 64-bit word per pid % 4096. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t *words;
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

__attribute__((constructor)) static void open_words(void)
{
    const char *path = getenv("MALLOC_COUNT_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd == -1)
        return;
    void *at = mmap(NULL, 4096 * sizeof *words, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        words = at;
}

static void count(void)
{
    if (words)
        words[(unsigned)getpid() % 4096]++;
}

void *malloc(size_t n)
{
    count();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
    count();
    return __libc_realloc(old, n);
}
