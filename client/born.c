/* client/born.c: see client/born.h. */
#include "client/born.h"

#include <sched.h>
#include <sys/mman.h>

#define BORN_BYTES 4096u

atom32 *born_new(void)
{
    void *page = mmap(NULL, BORN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    if (madvise(page, BORN_BYTES, MADV_WIPEONFORK) == -1) {
        munmap(page, BORN_BYTES);
        return NULL;
    }
    born_done(page);
    return page;
}

void born_free(atom32 *word)
{
    if (word)
        munmap(word, BORN_BYTES);
}

bool born_claim(atom32 *word)
{
    uint32_t expected = BORN_CHILD;
    if (atomic_compare_exchange_strong(word, &expected, BORN_CLAIMED))
        return true;
    while (word_get(word) != BORN_HERE)
        sched_yield();
    return false;
}

void born_done(atom32 *word)
{
    word_set(word, BORN_HERE);
}
