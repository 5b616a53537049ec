/* proc/bundle.c: one reservation of address space per instance, cut into places; see the header. */
#include "proc/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVED_BYTES (BUNDLE_PLACES * BUNDLE_PLACE_BYTES)
#define SEALS          (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static char *reserved;            /* NULL until bundle_reserve; the same in every process */
static bool taken[BUNDLE_PLACES]; /* the master's */

_Static_assert(RESERVED_BYTES > BUNDLE_PLACE_BYTES, "the reservation fits in 64 bits");

int bundle_reserve(char *why, size_t why_cap)
{
    if (reserved != NULL)
        return 0;
    void *p =
        mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        (void)snprintf(why, why_cap,
                       "cannot reserve %llu GiB of address space for configurations: %s (is "
                       "there a limit, ulimit -v?)",
                       RESERVED_BYTES >> 30, strerror(errno));
        return -1;
    }
    reserved = p;
    return 0;
}

static char *place_address(uint32_t place)
{
    return reserved + (size_t)place * BUNDLE_PLACE_BYTES;
}

/* The place that a pointer lies in, or BUNDLE_PLACES. */
static uint32_t place_of(uint64_t address)
{
    uint64_t base = (uint64_t)(uintptr_t)reserved;
    if (reserved == NULL || address < base || address - base >= RESERVED_BYTES)
        return BUNDLE_PLACES;
    return (uint32_t)((address - base) / BUNDLE_PLACE_BYTES);
}

/* Replaces whatever is mapped in the range by the bare reservation. */
static void forget(char *address, size_t len_bytes)
{
    if (len_bytes > 0 &&
        mmap(address, len_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
             -1, 0) == MAP_FAILED)
        (void)mprotect(address, len_bytes, PROT_NONE); /* out of map entries: unreadable at least */
}

static uint32_t free_place(void)
{
    uint32_t place = 0;
    while (place < BUNDLE_PLACES && taken[place])
        place++;
    return place;
}

static int open_memory(void)
{
    int fd = memfd_create("ballast-configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd == -1)
        return -1;
    if (ftruncate(fd, (off_t)BUNDLE_PLACE_BYTES) == 0)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* Private keys, tokens and passwords are in there: not in a core file. */
static void no_dump(char *address, size_t len_bytes)
{
    (void)madvise(address, len_bytes, MADV_DONTDUMP);
}

int bundle_take(struct bundle *b)
{
    *b = (struct bundle){.fd = -1, .place = free_place()};
    if (reserved == NULL || b->place == BUNDLE_PLACES) {
        errno = EBUSY;
        return -1;
    }
    b->fd = open_memory();
    if (b->fd == -1)
        return -1;
    b->address = place_address(b->place);
    taken[b->place] = true;
    return 0;
}

int bundle_open(struct bundle *b)
{
    if (mmap(b->address, BUNDLE_PLACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b->fd,
             0) == MAP_FAILED)
        return -1;
    no_dump(b->address, BUNDLE_PLACE_BYTES);
    arena_init_fixed(&b->arena, b->address, BUNDLE_PLACE_BYTES);
    return 0;
}

int bundle_begin(struct bundle *b)
{
    if (bundle_take(b) == -1)
        return -1;
    if (bundle_open(b) == 0)
        return 0;
    int saved = errno;
    bundle_end(b);
    errno = saved;
    return -1;
}

void bundle_leave(struct bundle *b)
{
    forget(b->address, BUNDLE_PLACE_BYTES);
}

/* Private: Linux before 6.7 refuses any shared mapping of memory sealed against writing. Never
 * written, so never copied. */
static int map_sealed(int fd, char *address, size_t len_bytes)
{
    if (mmap(address, len_bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
        return -1;
    no_dump(address, len_bytes);
    return 0;
}

int bundle_seal(struct bundle *b, const struct conf *conf)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t used = (size_t)(b->arena.at - b->address);
    b->len_bytes = (used + page) / page * page; /* at least one page */
    forget(b->address, BUNDLE_PLACE_BYTES);     /* sealing needs that nobody can write */
    if (ftruncate(b->fd, (off_t)b->len_bytes) == -1 || fcntl(b->fd, F_ADD_SEALS, SEALS) == -1 ||
        map_sealed(b->fd, b->address, b->len_bytes) == -1)
        return -1;
    b->conf = conf;
    return 0;
}

void bundle_end(struct bundle *b)
{
    if (b->fd == -1)
        return;
    if (b->address != NULL) {
        forget(b->address, BUNDLE_PLACE_BYTES);
        taken[b->place] = false;
    }
    (void)close(b->fd);
    *b = (struct bundle){.fd = -1};
}

/* Is this what the master would send: a sealed file as long as it says, at the start of a place,
 * with the root inside? */
static bool acceptable(int fd, uint64_t address, uint64_t len_bytes, uint64_t root)
{
    struct stat st;
    uint32_t place = place_of(address);
    if (place == BUNDLE_PLACES || address != (uint64_t)(uintptr_t)place_address(place))
        return false;
    if (len_bytes > BUNDLE_PLACE_BYTES || root < address || root - address >= len_bytes)
        return false;
    return len_bytes - (root - address) >= sizeof(struct conf) && fcntl(fd, F_GET_SEALS) == SEALS &&
           fstat(fd, &st) == 0 && (uint64_t)st.st_size >= len_bytes;
}

const struct conf *bundle_map(int fd, uint64_t address, uint64_t len_bytes, uint64_t root)
{
    int result = -1;
    int saved = EBADMSG;
    if (acceptable(fd, address, len_bytes, root)) {
        result = map_sealed(fd, place_address(place_of(address)), len_bytes);
        saved = errno;
    }
    (void)close(fd);
    errno = saved;
    return result == 0 ? (const struct conf *)(uintptr_t)root : NULL;
}

void bundle_unmap(const void *inside)
{
    uint32_t place = place_of((uint64_t)(uintptr_t)inside);
    if (place < BUNDLE_PLACES)
        forget(place_address(place), BUNDLE_PLACE_BYTES);
}

void bundle_keep_only(const void *inside)
{
    uint32_t place = place_of((uint64_t)(uintptr_t)inside);
    if (place == BUNDLE_PLACES)
        return;
    forget(reserved, (size_t)place * BUNDLE_PLACE_BYTES);
    forget(place_address(place) + BUNDLE_PLACE_BYTES,
           (size_t)(BUNDLE_PLACES - 1 - place) * BUNDLE_PLACE_BYTES);
}
