/* Bundles: the same bytes at the same address everywhere, unchangeable once sealed, places reused
 * when given back. */
#include <fcntl.h>
#include <sys/mman.h>
#include "proc/bundle.h"
#include "tests/unit/harness.h"
#include "tests/unit/proc/channel.h"

static void reserve(void)
{
    char why[256];
    CHECK_EQ(bundle_reserve(why, sizeof why), 0);
}

static void build(struct bundle *b, uint32_t generation)
{
    CHECK_EQ(bundle_begin(b), 0);
    struct conf *c = ARENA_NEW(&b->arena, struct conf);
    c->generation = generation;
    c->user = arena_printf(&b->arena, "user %u", generation);
    CHECK_EQ(bundle_seal(b, c), 0);
}

static int wait_status(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

TEST(sealed_bundle_reads_as_it_was_built)
{
    struct bundle b;
    reserve();
    build(&b, 3);
    CHECK_EQ(b.conf->generation, 3);
    CHECK_STR(b.conf->user, "user 3");
    CHECK(b.len_bytes >= sizeof(struct conf));
    CHECK_EQ(b.len_bytes % (size_t)sysconf(_SC_PAGESIZE), 0);
    bundle_end(&b);
}

static void send_offer(int fd, const struct bundle *b)
{
    struct ctl_msg m = {.type = CTL_OFFER,
                        .fd_count = 1,
                        .address = (uint64_t)(uintptr_t)b->address,
                        .len_bytes = b->len_bytes,
                        .root = (uint64_t)(uintptr_t)b->conf};
    CHECK_EQ(ctl_send(fd, &m, &b->fd), 0);
}

/* In a child: two offers after another, the second at the first's place or not; pointers hold in
 * both. */
static void adopt_two(int fd)
{
    const struct conf *held = NULL;
    for (uint32_t generation = 1; generation <= 2; generation++) {
        char user[16];
        int fds[CTL_FDS];
        struct ctl_msg m = receive(fd, fds);
        const struct conf *c = bundle_map(fds[0], m.address, m.len_bytes, m.root);
        CHECK(c != NULL);
        CHECK((uintptr_t)c == m.root);
        CHECK_EQ(c->generation, generation);
        snprintf(user, sizeof user, "user %u", generation);
        CHECK_STR(c->user, user);
        if (held != NULL)
            bundle_unmap(held);
        held = c;
    }
    _exit(0);
}

TEST(child_forked_before_sees_the_same_pointers)
{
    struct bundle first, second;
    int ends[2];
    reserve();
    CHECK_EQ(ctl_pair(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        adopt_two(ends[1]);
    build(&first, 1);
    send_offer(ends[0], &first);
    build(&second, 2);
    send_offer(ends[0], &second);
    CHECK_EQ(wait_status(pid), 0);
    bundle_end(&first);
    bundle_end(&second);
}

TEST(sealed_bundle_cannot_be_written)
{
    struct bundle b;
    reserve();
    build(&b, 1);
    CHECK_EQ(write(b.fd, "x", 1), -1);
    CHECK_EQ(errno, EPERM);
    CHECK_EQ(ftruncate(b.fd, 0), -1);
    CHECK_EQ(errno, EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0) == MAP_FAILED);
    bundle_end(&b);
}

static void write_to(char *at)
{
    signal(SIGSEGV, SIG_DFL); /* no sanitizer's report */
    *(volatile char *)at = 1;
    _exit(0);
}

TEST(sealed_memory_is_read_only)
{
    struct bundle b;
    reserve();
    build(&b, 1);
    pid_t pid = fork();
    if (pid == 0)
        write_to(b.address);
    int status = wait_status(pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
    bundle_end(&b);
}

TEST(places_run_out_and_come_back)
{
    struct bundle all[BUNDLE_PLACES], more;
    reserve();
    for (uint32_t i = 0; i < BUNDLE_PLACES; i++)
        build(&all[i], i + 1);
    CHECK_EQ(bundle_begin(&more), -1);
    CHECK_EQ(errno, EBUSY);
    bundle_end(&all[17]);
    build(&more, 1000);
    CHECK_EQ(more.place, 17);
    CHECK_EQ(more.conf->generation, 1000);
    CHECK_EQ(all[16].conf->generation, 17);
    CHECK_EQ(all[18].conf->generation, 19);
}

TEST(large_configuration_is_whole)
{
    enum { COUNT = 100000 };
    struct bundle b;
    reserve();
    CHECK_EQ(bundle_begin(&b), 0);
    struct conf *c = ARENA_NEW(&b.arena, struct conf);
    c->pools = ARENA_ARRAY(&b.arena, struct conf_pool, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        c->pools[i].row = i;
    CHECK_EQ(bundle_seal(&b, c), 0);
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK_EQ(b.conf->pools[i].row, i);
    bundle_end(&b);
}

/* As a reload does it: the memory is filled in another process, found here, and sealed. */
TEST(built_in_another_process)
{
    struct bundle b;
    reserve();
    CHECK_EQ(bundle_take(&b), 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(bundle_open(&b), 0);
        struct conf *c = ARENA_NEW(&b.arena, struct conf);
        c->generation = 5;
        c->user = arena_strdup(&b.arena, "built there");
        bundle_leave(&b);
        _exit(0);
    }
    CHECK_EQ(wait_status(pid), 0);
    CHECK_EQ(bundle_open(&b), 0);
    struct conf *c = (struct conf *)(void *)b.address;
    c->workers = 7; /* still writable */
    b.arena.at += 4096;
    CHECK_EQ(bundle_seal(&b, c), 0);
    CHECK_EQ(b.conf->generation, 5);
    CHECK_STR(b.conf->user, "built there");
    CHECK_EQ(b.conf->workers, 7);
    bundle_end(&b);
}

static void check_refused(const struct bundle *b, uint64_t address, uint64_t len_bytes,
                          uint64_t root)
{
    CHECK(bundle_map(dup(b->fd), address, len_bytes, root) == NULL);
    CHECK_EQ(errno, EBADMSG);
}

TEST(what_the_master_would_not_send_is_refused)
{
    struct bundle b;
    reserve();
    build(&b, 1);
    uint64_t address = (uint64_t)(uintptr_t)b.address, root = (uint64_t)(uintptr_t)b.conf;
    check_refused(&b, address + 4096, b.len_bytes, root);
    check_refused(&b, 4096, b.len_bytes, 4096);
    check_refused(&b, address, BUNDLE_PLACE_BYTES + 1, root);
    check_refused(&b, address, b.len_bytes + 4096, root); /* longer than the file */
    check_refused(&b, address, b.len_bytes, address + b.len_bytes - 8);
    check_refused(&b, address, b.len_bytes, address - 8);
    CHECK_EQ(b.conf->generation, 1);
    bundle_end(&b);
}

TEST(unsealed_memory_is_refused)
{
    struct bundle b;
    reserve();
    build(&b, 1);
    int fd = memfd_create("test", MFD_ALLOW_SEALING);
    CHECK_EQ(ftruncate(fd, (off_t)b.len_bytes), 0);
    CHECK(bundle_map(fd, (uint64_t)(uintptr_t)b.address, b.len_bytes,
                     (uint64_t)(uintptr_t)b.conf) == NULL);
    CHECK_EQ(errno, EBADMSG);
    bundle_end(&b);
}

static void read_kept_only(struct bundle *kept, const struct bundle *other)
{
    bundle_keep_only(kept->conf);
    CHECK_EQ(kept->conf->generation, 2);
    signal(SIGSEGV, SIG_DFL);
    _exit(*(volatile const char *)other->address); /* not there any more */
}

TEST(child_keeps_only_its_own)
{
    struct bundle a, b, c;
    reserve();
    build(&a, 1);
    build(&b, 2);
    build(&c, 3);
    const struct bundle *others[] = {&a, &c};
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0)
            read_kept_only(&b, others[i]);
        int status = wait_status(pid);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), SIGSEGV);
    }
}
