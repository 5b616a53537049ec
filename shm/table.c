/*
 * shm/table.c: the segment: create, attach, close. See shm/table.h.
 */
#include "shm/table_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "shm/grant.h"
#include "shm/hashtable.h"
#include "shm/rate.h"

#define PAGE_BYTES 4096u
#define KIB        1024u

static void object_name(uint32_t pid, char *out, size_t cap)
{
    snprintf(out, cap, "/" TABLE_PREFIX "%u", pid);
}

static uint64_t place(struct table_section *s, uint64_t at, uint64_t stride_bytes, uint64_t count)
{
    *s = (struct table_section){at, stride_bytes, count};
    at += stride_bytes * count;
    return (at + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Where everything lies; a pure function of this program. Every section begins on a page. */
static void lay_out(struct table_header *h)
{
    struct table_section self;
    uint64_t at = place(&self, 0, sizeof *h, 1);
    at = place(&h->slots, at, sizeof(struct slot), SLOT_MAX);
    at = place(&h->events, at, sizeof(struct event), EVENT_MAX);
    at = place(&h->listeners, at, sizeof(struct listener_row), LISTENER_MAX);
    at = place(&h->pools, at, sizeof(struct pool_row), POOL_MAX);
    at = place(&h->entries, at, sizeof(struct entry), ENTRY_MAX);
    at = place(&h->pcells, at, sizeof(struct pcell), (uint64_t)SLOT_MAX * POOL_MAX);
    at = place(&h->lcells, at, sizeof(struct lcell), (uint64_t)SLOT_MAX * LISTENER_MAX);
    at = place(&h->cells, at, sizeof(struct cell), (uint64_t)SLOT_MAX * ENTRY_MAX);
    at = place(&h->hash, at, HASHTABLE_UNIT_BYTES, HASHTABLE_UNITS);
    at = place(&h->loads, at, sizeof(struct loads), POOL_MAX);
    at = place(&h->rates, at, sizeof(struct rate_row), RATE_MAX);
    at = place(&h->rcells, at, sizeof(struct rcell), (uint64_t)SLOT_MAX * RATE_MAX);
    at = place(&h->rate_heap, at, RATE_UNIT_BYTES, RATE_UNITS);
    at = place(&h->sticks, at, STICK_WAYS * sizeof(atom64), STICK_BUCKETS);
    at = place(&h->client_cells, at, sizeof(atom64), (uint64_t)SLOT_MAX * CLIENTS_CELLS_MAX);
    at = place(&h->grants, at, sizeof(struct grant_row), GRANT_MAX + 1);
    at = place(&h->grant_cells, at, sizeof(atom32), (uint64_t)GRANT_MAX * ENTRY_MAX);
    at = place(&h->cache_words, at, sizeof(atom64), CACHE_BLOCKS_MAX);
    at = place(&h->cache_next, at, sizeof(atom32), CACHE_BLOCKS_MAX);
    at = place(&h->cache_entries, at, sizeof(struct cache_entry), CACHE_BLOCKS_MAX);
    at = place(&h->cache_index, at, CACHE_WAYS * sizeof(atom64), CACHE_BUCKETS_MAX);
    at = place(&h->cache_marks, at, sizeof(struct cache_marks), 1);
    at = place(&h->cache_pins, at, sizeof(atom16), (uint64_t)SLOT_MAX * CACHE_BLOCKS_MAX);
    at = place(&h->ccells, at, sizeof(struct ccell), SLOT_MAX);
    at = place(&h->cache_data, at, CACHE_BLOCK_BYTES, CACHE_BLOCKS_MAX);
    h->magic = TABLE_MAGIC;
    h->version = TABLE_VERSION;
    h->header_bytes = sizeof *h;
    h->total_bytes = at;
}

/* What every instance has whatever it is configured to: header, slots and event ring, which come
 * first. */
static off_t fixed_bytes(const struct table_header *h)
{
    return (off_t)h->listeners.offset_bytes;
}

static void resolve_cache(struct table *t)
{
    const struct table_header *h = t->header;
    t->cache_words = (atom64 *)(void *)(t->base + h->cache_words.offset_bytes);
    t->cache_next = (atom32 *)(void *)(t->base + h->cache_next.offset_bytes);
    t->cache_entries = (struct cache_entry *)(void *)(t->base + h->cache_entries.offset_bytes);
    t->cache_index = (atom64 *)(void *)(t->base + h->cache_index.offset_bytes);
    t->cache_marks = (struct cache_marks *)(void *)(t->base + h->cache_marks.offset_bytes);
    t->cache_pins = (atom16 *)(void *)(t->base + h->cache_pins.offset_bytes);
    t->ccells = (struct ccell *)(void *)(t->base + h->ccells.offset_bytes);
    t->cache_data = t->base + h->cache_data.offset_bytes;
}

static void resolve(struct table *t)
{
    const struct table_header *h = t->header;
    t->slots = (struct slot *)(void *)(t->base + h->slots.offset_bytes);
    t->listeners = (struct listener_row *)(void *)(t->base + h->listeners.offset_bytes);
    t->pools = (struct pool_row *)(void *)(t->base + h->pools.offset_bytes);
    t->entries = (struct entry *)(void *)(t->base + h->entries.offset_bytes);
    t->events = (struct event *)(void *)(t->base + h->events.offset_bytes);
    t->cells = t->base + h->cells.offset_bytes;
    t->lcells = t->base + h->lcells.offset_bytes;
    t->pcells = t->base + h->pcells.offset_bytes;
    t->hash = t->base + h->hash.offset_bytes;
    t->loads = t->base + h->loads.offset_bytes;
    t->rates = (struct rate_row *)(void *)(t->base + h->rates.offset_bytes);
    t->rcells = t->base + h->rcells.offset_bytes;
    t->sticks = (atom64 *)(void *)(t->base + h->sticks.offset_bytes);
    t->rate_heap = t->base + h->rate_heap.offset_bytes;
    t->grants = (struct grant_row *)(void *)(t->base + h->grants.offset_bytes);
    t->grant_totals = (struct grant_totals *)(void *)&t->grants[GRANT_MAX];
    t->grant_cells = (atom32 *)(void *)(t->base + h->grant_cells.offset_bytes);
    t->client_cells = t->base + h->client_cells.offset_bytes;
    resolve_cache(t);
}

static int map(struct table *t, size_t len_bytes, int protection)
{
    void *p = mmap(NULL, len_bytes, protection, MAP_SHARED | MAP_NORESERVE, t->fd, 0);
    if (p == MAP_FAILED)
        return -1;
    t->base = p;
    t->header = p;
    t->mapped_bytes = len_bytes;
    return 0;
}

int table_map_begin(struct table *t, size_t len_bytes)
{
    if (map(t, len_bytes, PROT_READ) == -1)
        return -1;
    (void)madvise(t->base, len_bytes, MADV_DONTDUMP); /* not into the core of whoever looks */
    resolve(t);
    return 0;
}

static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);
    rc |= pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    rc |= pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    rc |= pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    rc |= pthread_mutex_init(lock, &attr);
    assert(rc == 0);
    pthread_mutexattr_destroy(&attr);
}

static void fill_header(struct table_header *h, const char *conf_path)
{
    struct table_host host;
    table_host_read(&host);
    uint64_t magic;
    lay_out(h);
    magic = h->magic;
    h->magic = 0; /* last, so that nobody takes a half-filled header for a table */
    memcpy(h->boot_id, host.boot_id, sizeof h->boot_id);
    snprintf(h->product_version, sizeof h->product_version, "%s", BALLAST_VERSION);
    h->master_pid = (uint32_t)getpid();
    h->master_start_ticks = table_start_ticks(h->master_pid);
    h->pid_namespace = host.pid_namespace;
    h->started_wall_ms = clock_wall_ms();
    h->started_mono_us = clock_mono_us();
    h->key = hash_key_random();
    snprintf(h->conf_path, sizeof h->conf_path, "%s", conf_path ? conf_path : "");
    init_lock(&h->lock);
    atomic_thread_fence(memory_order_release);
    h->magic = magic;
}

/* The object of our own pid must be left over from a dead process, unless another container shares
 * /dev/shm with us. */
static int open_new(const char *name, char *why, size_t why_cap)
{
    int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd == -1 && errno == EEXIST) {
        struct table_header old;
        char ignored[128];
        int old_fd = table_open((uint32_t)getpid());
        bool foreign = old_fd != -1 &&
                       table_read_header(old_fd, &old, ignored, sizeof ignored) == 0 &&
                       table_life(&old) == TABLE_FOREIGN;
        if (old_fd != -1)
            close(old_fd);
        if (foreign) {
            snprintf(why, why_cap,
                     "%s%s belongs to an instance in another container: give each its own /dev/shm",
                     TABLE_DIR, name);
            return -1;
        }
        if (shm_unlink(name) == 0)
            fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    }
    if (fd == -1)
        snprintf(why, why_cap, "cannot create shared memory %s%s: %s", TABLE_DIR, name,
                 strerror(errno));
    return fd;
}

static void explain_size(int fd, off_t wanted, int error, char *why, size_t why_cap)
{
    struct statvfs vfs;
    if (error != ENOSPC || fstatvfs(fd, &vfs) == -1) {
        snprintf(why, why_cap, "cannot size the shared memory table: %s", strerror(error));
        return;
    }
    snprintf(
        why, why_cap,
        "%s is full: the table needs %llu KiB to start, %llu KiB are free; enlarge it (mount -o "
        "remount,size=64m %s; with Docker: --shm-size 64m)",
        TABLE_DIR, (unsigned long long)wanted / KIB,
        (unsigned long long)vfs.f_bavail * vfs.f_frsize / KIB, TABLE_DIR);
}

static int size_and_map(struct table *t, const struct table_header *plan, char *why, size_t why_cap)
{
    off_t fixed = fixed_bytes(plan);
    if (ftruncate(t->fd, (off_t)plan->total_bytes) == -1) {
        explain_size(t->fd, fixed, errno, why, why_cap);
        return -1;
    }
    int rc;
    do {
        rc = posix_fallocate(t->fd, 0, fixed);
    } while (rc == EINTR);
    if (rc != 0) {
        explain_size(t->fd, fixed, rc, why, why_cap);
        return -1;
    }
    if (map(t, plan->total_bytes, PROT_READ | PROT_WRITE) == -1) {
        snprintf(why, why_cap, "cannot map the table: %s (address space limit?)", strerror(errno));
        return -1;
    }
    return 0;
}

int table_create(struct table *t, const char *conf_path, char *why, size_t why_cap)
{
    char name[32];
    struct table_header plan = {0};
    lay_out(&plan);
    object_name((uint32_t)getpid(), name, sizeof name);
    *t = (struct table){.fd = open_new(name, why, why_cap)};
    if (t->fd == -1)
        return -1;
    if (size_and_map(t, &plan, why, why_cap) == -1) {
        (void)shm_unlink(name);
        close(t->fd);
        t->fd = -1;
        return -1;
    }
    fill_header(t->header, conf_path);
    resolve(t);
    return 0;
}

int table_open(uint32_t master_pid)
{
    char name[32];
    object_name(master_pid, name, sizeof name);
    return shm_open(name, O_RDONLY | O_NONBLOCK, 0); /* all may write there: perhaps a FIFO */
}

void table_socket_name(uint32_t master_pid, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof out->sun_path, TABLE_DIR "/" TABLE_PREFIX "%u" TABLE_SOCKET,
             master_pid);
}

int table_remove(uint32_t master_pid)
{
    char name[32];
    struct sockaddr_un beside;
    table_socket_name(master_pid, &beside);
    (void)unlink(beside.sun_path);
    object_name(master_pid, name, sizeof name);
    return shm_unlink(name);
}

int table_read_header(int fd, struct table_header *out, char *why, size_t why_cap)
{
    struct stat st;
    struct table_header mine = {0};
    lay_out(&mine);
    *out = (struct table_header){0};
    ssize_t got = pread(fd, out, sizeof *out, 0);
    if (got < (ssize_t)offsetof(struct table_header, boot_id) || out->magic != TABLE_MAGIC) {
        snprintf(why, why_cap, "not a table of ballast, or not ready yet");
        return -1;
    }
    if (out->version != TABLE_VERSION) {
        snprintf(
            why, why_cap,
            "the table has layout version %u, this program reads version %u: use the ballast that "
            "the instance runs",
            out->version, TABLE_VERSION);
        return -1;
    }
    size_t sections = offsetof(struct table_header, slots);
    if (got != (ssize_t)sizeof *out || out->header_bytes != mine.header_bytes ||
        out->total_bytes != mine.total_bytes || fstat(fd, &st) == -1 ||
        (uint64_t)st.st_size < mine.total_bytes ||
        memcmp((char *)out + sections, (char *)&mine + sections,
               offsetof(struct table_header, master_pid) - sections) != 0) {
        snprintf(why, why_cap,
                 "the table has other sizes than this program's: use the ballast that the "
                 "instance runs");
        return -1;
    }
    out->boot_id[sizeof out->boot_id - 1] = 0;
    out->conf_path[sizeof out->conf_path - 1] = 0;
    return 0;
}

/*
 * /dev/shm is writable by all, and signals are sent to the pid in a table's name: a living instance
 * is believed when the table belongs to whom the process belongs, or to us; a dead one, which is
 * only looked at, when it is ours or we are root.
 */
static bool is_believed(int fd, const struct table_header *h, uint32_t pid)
{
    struct stat object, process;
    char path[32];
    if (h->master_pid != pid || fstat(fd, &object) == -1)
        return false;
    if (object.st_uid == geteuid())
        return true;
    if (table_life(h) != TABLE_ALIVE)
        return geteuid() == 0;
    snprintf(path, sizeof path, "/proc/%u", pid);
    return stat(path, &process) == 0 && process.st_uid == object.st_uid;
}

int table_attach(struct table *t, uint32_t master_pid, char *why, size_t why_cap)
{
    struct table_header copy;
    *t = (struct table){.fd = table_open(master_pid), .read_only = true};
    if (t->fd == -1) {
        if (errno == ENOENT)
            snprintf(why, why_cap, "no instance with pid %u has a table here", master_pid);
        else
            snprintf(why, why_cap, "cannot read the table of pid %u: %s%s", master_pid,
                     strerror(errno),
                     errno == EACCES ? " (run as root or as the user who started it)" : "");
        return -1;
    }
    if (table_read_header(t->fd, &copy, why, why_cap) == 0) {
        if (!is_believed(t->fd, &copy, master_pid)) {
            snprintf(why, why_cap, "the table of pid %u belongs to somebody else", master_pid);
        } else if (map(t, copy.total_bytes, PROT_READ) == 0) {
            resolve(t);
            return 0;
        } else {
            snprintf(why, why_cap, "cannot map the table of pid %u: %s", master_pid,
                     strerror(errno));
        }
    }
    close(t->fd);
    t->fd = -1;
    return -1;
}

int table_adopt(struct table *t, int fd, char *why, size_t why_cap)
{
    struct table_header copy;
    *t = (struct table){.fd = fd};
    if (table_read_header(fd, &copy, why, why_cap) == -1)
        return -1;
    if (map(t, copy.total_bytes, PROT_READ | PROT_WRITE) == -1) {
        snprintf(why, why_cap, "cannot map the table: %s", strerror(errno));
        return -1;
    }
    resolve(t);
    snprintf(t->header->product_version, sizeof t->header->product_version, "%s", BALLAST_VERSION);
    return 0;
}

static void aside_name(char *out, size_t cap)
{
    snprintf(out, cap, TABLE_DIR "/" TABLE_PREFIX "%u" TABLE_ASIDE, (unsigned)getpid());
}

int table_set_aside(void)
{
    char name[32], from[64], to[64];
    object_name((uint32_t)getpid(), name, sizeof name);
    snprintf(from, sizeof from, TABLE_DIR "%s", name);
    aside_name(to, sizeof to);
    return rename(from, to);
}

void table_bring_back(void)
{
    char name[32], from[64], to[64];
    object_name((uint32_t)getpid(), name, sizeof name);
    aside_name(from, sizeof from);
    snprintf(to, sizeof to, TABLE_DIR "%s", name);
    (void)rename(from, to);
}

void table_remove_aside(void)
{
    char path[64];
    aside_name(path, sizeof path);
    (void)unlink(path);
}

int table_share(struct table *t, gid_t group)
{
    if (group == TABLE_NO_GROUP)
        return fchmod(t->fd, S_IRUSR | S_IWUSR);
    if (fchown(t->fd, (uid_t)-1, group) == -1)
        return -1;
    return fchmod(t->fd, S_IRUSR | S_IWUSR | S_IRGRP);
}

void table_unlink(struct table *t)
{
    (void)table_remove(t->header->master_pid);
}

void table_close(struct table *t)
{
    if (t->base)
        munmap(t->base, t->mapped_bytes);
    if (t->fd != -1)
        close(t->fd);
    *t = (struct table){.fd = -1};
}
