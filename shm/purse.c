/* shm/purse.c: see shm/purse.h. */
#include "shm/purse.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct purse *map(int fd)
{
    void *p = mmap(NULL, sizeof(struct purse), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, sizeof(struct purse), MADV_DONTDUMP);
    return p;
}

void purse_unmap(struct purse *p)
{
    if (p)
        (void)munmap(p, sizeof *p);
}

/* ---- broker ---- */

struct purse *purse_create(int *fd)
{
    struct purse *p = NULL;
    *fd = memfd_create("ballast-purse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd == -1)
        return NULL;
    if (ftruncate(*fd, (off_t)sizeof *p) == 0 && fcntl(*fd, F_ADD_SEALS, SEALS) == 0)
        p = map(*fd);
    if (!p) {
        int saved = errno;
        close(*fd);
        errno = saved;
        return NULL;
    }
    p->magic = PURSE_MAGIC;
    p->version = TABLE_VERSION;
    return p;
}

void purse_grant(struct purse *p, uint32_t entry, uint32_t count)
{
    atomic_fetch_add(&p->words[entry], (uint64_t)count << 32);
}

/* Tried once: a client that is at it has no idle ones, or will have them at the next look. */
uint32_t purse_take_idle(struct purse *p, uint32_t entry, uint32_t held)
{
    uint64_t word = atomic_load(&p->words[entry]);
    uint32_t used = (uint32_t)word < held ? (uint32_t)word : held;
    if (used == held && word >> 32 == held)
        return 0;
    if (!atomic_compare_exchange_strong(&p->words[entry], &word, (uint64_t)used << 32 | used))
        return 0;
    return held - used;
}

uint32_t purse_read(struct purse *p, uint64_t *tail, struct purse_record *out, uint32_t cap)
{
    uint64_t unread = atomic_load(&p->head) - *tail;
    if (unread > PURSE_RECORDS) { /* it lies, and its reports are lost */
        *tail += unread;
        unread = 0;
    }
    uint32_t n = unread < cap ? (uint32_t)unread : cap;
    for (uint32_t i = 0; i < n; i++)
        out[i] = p->records[(*tail + i) % PURSE_RECORDS];
    *tail += n;
    atomic_store(&p->tail, *tail);
    return n;
}

/* ---- client ---- */

struct purse *purse_map(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == -1 || st.st_size != (off_t)sizeof(struct purse) ||
        fcntl(fd, F_GET_SEALS) != SEALS)
        return NULL;
    struct purse *p = map(fd);
    if (!p || (p->magic == PURSE_MAGIC && p->version == TABLE_VERSION))
        return p;
    purse_unmap(p);
    return NULL;
}

bool purse_use(struct purse *p, uint32_t entry)
{
    uint64_t word = atomic_load(&p->words[entry]);
    while ((uint32_t)word < word >> 32)
        if (atomic_compare_exchange_weak(&p->words[entry], &word, word + 1))
            return true;
    return false;
}

void purse_settle(struct purse *p, uint32_t entry, uint32_t used)
{
    uint64_t word = atomic_load(&p->words[entry]);
    while (!atomic_compare_exchange_weak(&p->words[entry], &word,
                                         (word & ~(uint64_t)UINT32_MAX) | used))
        ;
}

/* The broker sees what was reported before. */
void purse_done(struct purse *p, uint32_t entry)
{
    uint64_t word = atomic_load(&p->words[entry]);
    while ((uint32_t)word > 0)
        if (atomic_compare_exchange_weak(&p->words[entry], &word, word - 1))
            return;
}

uint32_t purse_granted(const struct purse *p, uint32_t entry)
{
    return (uint32_t)(atomic_load_explicit(&p->words[entry], memory_order_relaxed) >> 32);
}

uint64_t purse_read_so_far(const struct purse *p)
{
    return atomic_load(&p->tail);
}

static uint64_t unread(const struct purse *p)
{
    return atomic_load_explicit(&p->head, memory_order_relaxed) - atomic_load(&p->tail);
}

bool purse_report(struct purse *p, const struct purse_record *record)
{
    uint64_t head = atomic_load_explicit(&p->head, memory_order_relaxed);
    if (unread(p) >= PURSE_RECORDS)
        return false;
    p->records[head % PURSE_RECORDS] = *record;
    atomic_store(&p->head, head + 1);
    return true;
}

bool purse_is_filling(const struct purse *p)
{
    return unread(p) > PURSE_RECORDS / 2;
}
