/* shm/tickets.c: a ring of keys under a sequence lock: one writer, the master. */
#include "shm/tickets.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_WORDS   (sizeof(struct ticket_key) / 8)
#define RING_PLACES TICKET_KEYS

_Static_assert(sizeof(struct ticket_key) % 8 == 0, "a key is whole words");

struct ring {
    _Atomic uint64_t seq;    /* odd while a key is written */
    _Atomic uint64_t newest; /* keys made so far; the newest is at (newest - 1) % RING_PLACES */
    _Atomic uint64_t keys[RING_PLACES][KEY_WORDS];
};

static struct ring *ring; /* inherited over fork */
static int ring_fd = -1;

static int map(int fd)
{
    void *p = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -1;
    (void)madvise(p, sizeof(struct ring), MADV_DONTDUMP);
    ring = p;
    ring_fd = fd;
    return 0;
}

int tickets_create(void)
{
    int fd = memfd_create("ballast-tickets", MFD_CLOEXEC);
    if (fd == -1)
        return -1;
    if (ftruncate(fd, (off_t)sizeof(struct ring)) == -1 || map(fd) == -1) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    tickets_rotate();
    return 0;
}

int tickets_fd(void)
{
    return ring_fd;
}

int tickets_adopt(int fd)
{
    if (lseek(fd, 0, SEEK_END) != (off_t)sizeof(struct ring)) {
        errno = EBADMSG;
        return -1;
    }
    return map(fd);
}

static void put_key(uint64_t place, const uint64_t *words)
{
    for (size_t i = 0; i < KEY_WORDS; i++)
        atomic_store_explicit(&ring->keys[place][i], words[i], memory_order_relaxed);
}

void tickets_rotate(void)
{
    uint64_t words[KEY_WORDS];
    if (!ring || getrandom(words, sizeof words, 0) != (ssize_t)sizeof words)
        return;
    uint64_t made = atomic_load(&ring->newest);
    atomic_fetch_add(&ring->seq, 1);
    put_key(made % RING_PLACES, words);
    atomic_store(&ring->newest, made + 1);
    atomic_fetch_add(&ring->seq, 1);
    explicit_bzero(words, sizeof words);
}

void tickets_wipe(void)
{
    static const uint64_t nothing[KEY_WORDS];
    if (!ring)
        return;
    atomic_fetch_add(&ring->seq, 1);
    atomic_store(&ring->newest, 0);
    for (uint64_t i = 0; i < RING_PLACES; i++)
        put_key(i, nothing);
    atomic_fetch_add(&ring->seq, 1);
}

/* The key made `age` rotations ago. False: there is none. */
static bool get_key(uint64_t age, struct ticket_key *out)
{
    uint64_t words[KEY_WORDS], before, made;
    do {
        before = atomic_load(&ring->seq);
        made = atomic_load(&ring->newest);
        if (made <= age)
            return false;
        for (size_t i = 0; i < KEY_WORDS; i++)
            words[i] = atomic_load_explicit(&ring->keys[(made - 1 - age) % RING_PLACES][i],
                                            memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
    } while (before % 2 != 0 || atomic_load(&ring->seq) != before);
    memcpy(out, words, sizeof *out);
    explicit_bzero(words, sizeof words);
    return true;
}

bool tickets_newest(struct ticket_key *out)
{
    return ring && get_key(0, out);
}

bool tickets_find(const uint8_t name[16], struct ticket_key *out, bool *newest)
{
    for (uint64_t age = 0; ring && age < TICKET_KEYS; age++) {
        if (!get_key(age, out))
            return false;
        *newest = age == 0;
        if (memcmp(out->name, name, sizeof out->name) == 0)
            return true;
    }
    return false;
}
