/* Creating, attaching, finding and sweeping tables; the lock when its holder is killed. */
#include "tests/unit/shm/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static void isolated(void)
{
    if (!isolate("size=64m"))
        SKIP("needs a mount namespace");
}

static char *object_path(uint32_t pid)
{
    static char path[64];
    snprintf(path, sizeof path, "/dev/shm/ballast.%u", pid);
    return path;
}

TEST(create_fills_the_header)
{
    struct table *t = make_table();
    const struct table_header *h = t->header;
    struct stat st;
    CHECK_EQ(h->magic, TABLE_MAGIC);
    CHECK_EQ(memcmp(&h->magic, "BALLAST1", 8), 0);
    CHECK_EQ(h->version, TABLE_VERSION);
    CHECK_EQ(h->master_pid, getpid());
    CHECK_STR(h->conf_path, "/etc/test.conf");
    CHECK(h->key.k0 != 0 || h->key.k1 != 0);
    CHECK_EQ(stat(object_path(h->master_pid), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(st.st_size, h->total_bytes);
    CHECK(st.st_blocks * 512 < 4 << 20); /* sparse */
    CHECK(table_master_alive(t));
}

TEST(sections_do_not_overlap)
{
    const struct table_header *h = make_table()->header;
    const struct table_section *all[] = {&h->slots, &h->listeners, &h->pools,  &h->entries,
                                         &h->cells, &h->lcells,    &h->pcells, &h->events};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        uint64_t end = all[i]->offset_bytes + all[i]->stride_bytes * all[i]->count;
        CHECK(all[i]->offset_bytes >= sizeof *h && end <= h->total_bytes);
        CHECK_EQ(all[i]->offset_bytes % 4096, 0);
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            CHECK(i == k || all[k]->offset_bytes >= end ||
                  all[k]->offset_bytes + all[k]->stride_bytes * all[k]->count <=
                      all[i]->offset_bytes);
    }
}

TEST(unlink_and_close)
{
    struct table *t = make_table();
    table_unlink(t);
    CHECK_EQ(access(object_path((uint32_t)getpid()), F_OK), -1);
    table_close(t);
    CHECK(t->base == NULL);
    table_close(t); /* twice is nothing */
}

TEST(a_new_table_of_the_same_pid_replaces_a_leftover)
{
    struct table *t = make_table(), again;
    char why[256];
    word_set(&t->header->generation, 7);
    table_close(t);
    CHECK_EQ(table_create(&again, NULL, why, sizeof why), 0);
    CHECK_EQ(word_get(&again.header->generation), 0);
    CHECK_STR(again.header->conf_path, "");
    table_unlink(&again);
}

static void create_and_die(uint32_t write_fd)
{
    struct table t;
    char why[256];
    CHECK_EQ(table_create(&t, "/etc/dead.conf", why, sizeof why), 0);
    table_lock(&t);
    uint32_t pool = pool_add(&t, "app");
    table_unlock(&t);
    CHECK_EQ(slot_claim(&t, 0, SLOT_WORKER, 0), 0);
    uint32_t entry = try_entry(&t, pool, "one", 0);
    CHECK_EQ(entry, 0);
    count_add(&table_cell(&t, 0, entry)->requests, 42);
    CHECK_EQ(write((int)write_fd, "x", 1), 1);
    raise(SIGKILL);
}

/* A master that filled a table and was killed. */
static uint32_t dead_master(void)
{
    int pair[2];
    char byte;
    CHECK_EQ(pipe(pair), 0);
    pid_t pid = start(create_and_die, (uint32_t)pair[1]);
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    CHECK(waitpid(pid, NULL, 0) == pid);
    return (uint32_t)pid;
}

TEST(a_table_is_readable_after_its_master_died)
{
    isolated();
    struct table t;
    char why[256] = "";
    uint32_t pid = dead_master();
    CHECK_EQ(table_attach(&t, pid, why, sizeof why), 0);
    CHECK(t.read_only);
    CHECK(!table_master_alive(&t));
    uint32_t pool = pool_find(&t, "app"), entry = entry_find(&t, pool, "one");
    CHECK_EQ(count_cell_sum(&t, entry, offsetof(struct cell, requests)), 42);
    table_close(&t);
    bool more;
    CHECK_EQ(table_find("/etc/dead.conf", &more), 0); /* dead ones are not found */
    CHECK_EQ(table_sweep(), 1);
    CHECK_EQ(table_attach(&t, pid, why, sizeof why), -1);
    CHECK(strstr(why, "no instance"));
}

TEST(a_read_only_mapping_cannot_write)
{
    struct table t;
    char why[256];
    make_table();
    CHECK_EQ(table_attach(&t, (uint32_t)getpid(), why, sizeof why), 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        word_set(&t.header->generation, 1);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(a_live_table_is_not_swept)
{
    struct table *t = make_table();
    table_sweep();
    CHECK_EQ(access(object_path(t->header->master_pid), F_OK), 0);
}

TEST(sweep_removes_tables_of_another_boot_or_a_reused_pid)
{
    isolated();
    struct table *t = make_table();
    t->header->master_start_ticks++; /* our pid, somebody else's start time */
    CHECK(!table_master_alive(t));
    CHECK_EQ(table_sweep(), 1);
    CHECK_EQ(access(object_path(t->header->master_pid), F_OK), -1);
    table_close(t);
    t = make_table();
    t->header->boot_id[0] ^= 1;
    CHECK(!table_master_alive(t));
    CHECK_EQ(table_sweep(), 1);
}

TEST(another_containers_table_is_left_alone)
{
    isolated();
    char why[256];
    struct table *t = make_table(), again;
    t->header->pid_namespace++;
    table_sweep();
    CHECK_EQ(access(object_path((uint32_t)getpid()), F_OK), 0);
    CHECK_EQ(table_create(&again, NULL, why, sizeof why), -1);
    CHECK(strstr(why, "another container"));
    CHECK_EQ(access(object_path((uint32_t)getpid()), F_OK), 0);
}

TEST(sweep_ignores_names_that_are_not_ours)
{
    isolated();
    static const char *const names[] = {"/dev/shm/ballast.", "/dev/shm/ballast.1x",
                                        "/dev/shm/ballast.99999999999", "/dev/shm/ballast.-1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        close(open(names[i], O_CREAT | O_WRONLY, 0600));
    table_sweep();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CHECK_EQ(access(names[i], F_OK), 0);
        unlink(names[i]);
    }
}

static void expect_refusal(const char *reason)
{
    struct table other;
    char why[256] = "";
    CHECK_EQ(table_attach(&other, (uint32_t)getpid(), why, sizeof why), -1);
    if (!strstr(why, reason))
        fprintf(stderr, "%s\n", why);
    CHECK(strstr(why, reason));
    CHECK_EQ(other.fd, -1);
}

TEST(attach_refuses_what_it_does_not_know)
{
    struct table *t = make_table();
    char versions[80];
    snprintf(versions, sizeof versions, "layout version %u, this program reads version %u",
             TABLE_VERSION + 1, TABLE_VERSION);
    t->header->version++;
    expect_refusal(versions);
    t->header->version--;
    t->header->magic++;
    expect_refusal("not a table");
    t->header->magic--;
    t->header->entries.stride_bytes++;
    expect_refusal("other sizes");
    t->header->entries.stride_bytes--;
    t->header->header_bytes++;
    expect_refusal("other sizes");
    t->header->header_bytes--;
    CHECK_EQ(ftruncate(t->fd, 4096), 0);
    expect_refusal("other sizes");
    CHECK_EQ(ftruncate(t->fd, 10), 0);
    expect_refusal("not a table");
    table_close(t);
    unlink(object_path((uint32_t)getpid()));
}

static void create_and_wait(uint32_t unused UNUSED)
{
    struct table t;
    char why[256];
    CHECK_EQ(table_create(&t, "/etc/test.conf", why, sizeof why), 0);
    for (;;)
        pause();
}

TEST(find_takes_the_instance_of_the_configuration)
{
    isolated();
    bool more = true;
    make_table();
    CHECK_EQ(table_find("/etc/test.conf.not", &more), 0);
    CHECK(!more);
    CHECK_EQ(table_find("/etc/test.conf", &more), getpid());
    CHECK_EQ(table_find(NULL, &more), getpid());
    CHECK(!more);
    dead_master(); /* dead ones are not found */
    pid_t younger = start(create_and_wait, 0);
    while (table_find(NULL, &more) != (uint32_t)younger)
        sched_yield();
    CHECK(more);
    kill_and_wait(younger);
    CHECK_EQ(table_find(NULL, &more), getpid());
}

TEST(a_table_of_somebody_elses_process_is_not_believed)
{
    bool more;
    if (geteuid() != 0)
        SKIP("needs root");
    struct table *t = make_table();
    snprintf(t->header->conf_path, sizeof t->header->conf_path, "/etc/%d.conf", (int)getpid());
    CHECK_EQ(table_find(t->header->conf_path, &more), getpid());
    CHECK_EQ(fchown(t->fd, 65534, 65534), 0);
    CHECK_EQ(table_find(t->header->conf_path, &more), 0);
    CHECK_EQ(fchown(t->fd, 0, 0), 0);
}

/* ---- memory
 * -------------------------------------------------------------------------------------------------
 */

static uint64_t backed_bytes(const struct table *t)
{
    struct stat st;
    CHECK_EQ(fstat(t->fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

TEST(reserving_backs_what_is_used_once)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app");
    make_workers(t, 2);
    uint64_t before = backed_bytes(t);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", i);
        make_entry(t, pool, name, 0);
    }
    uint64_t after = backed_bytes(t);
    CHECK(after - before >= 2 * 100 * sizeof(struct cell));
    CHECK(after - before <= 2 * 160 * sizeof(struct cell) + 128 * sizeof(struct entry));
    table_lock(t);
    CHECK_EQ(table_reserve(t), 0);
    table_unlock(t);
    memset(t->cells, 0, 100 * sizeof(struct cell));
    memset(table_cell(t, 1, 0), 0, 100 * sizeof(struct cell));
    memset(t->entries + 100, 0, 0);
    CHECK_EQ(backed_bytes(t), after); /* touching allocates nothing more */
}

TEST(a_slot_claimed_later_has_cells_for_all)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app");
    for (int i = 0; i < 10; i++)
        make_entry(t, pool, (char[]){(char)('a' + i), 0}, 0);
    uint64_t before = backed_bytes(t);
    CHECK_EQ(slot_claim(t, SLOT_ADMIN_INDEX, SLOT_ADMIN, 0), 0);
    CHECK(backed_bytes(t) > before);
    uint64_t after = backed_bytes(t);
    count_add(&table_cell(t, SLOT_ADMIN_INDEX, 9)->requests, 1);
    CHECK_EQ(backed_bytes(t), after);
    CHECK_EQ(word_get(&t->header->slots_high), 0);
    CHECK_EQ(count_cell_sum(t, 9, offsetof(struct cell, requests)), 1);
}

TEST(reading_sums_allocates_nothing)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), entry = make_entry(t, pool, "a", 0);
    uint64_t before = backed_bytes(t);
    CHECK_EQ(count_cell_sum(t, entry, 0), 0);
    CHECK_EQ(count_lcell_sum(t, 0, 0), 0);
    CHECK_EQ(count_pcell_sum(t, pool, 0), 0);
    CHECK_EQ(backed_bytes(t), before);
}

/* ---- the lock
 * -----------------------------------------------------------------------------------------------
 */

static atom32 *stage;

static void lock_and_wait(uint32_t unused UNUSED)
{
    table_lock(&table);
    atomic_store(stage, 1);
    for (;;)
        pause();
}

TEST(the_lock_survives_its_holder)
{
    struct table *t = make_table();
    stage = shared_page();
    pid_t pid = start(lock_and_wait, 0);
    await(stage, 1);
    kill_and_wait(pid);
    table_lock(t);
    table_unlock(t);
    table_lock(t); /* consistent again, not only once */
    table_unlock(t);
}

static void add_one(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        table_lock(&table);
        uint32_t seen = word_get(stage);
        if (i % 16 == 0)
            sched_yield();
        word_set(stage, seen + 1);
        table_unlock(&table);
    }
}

TEST(the_lock_excludes)
{
    make_table();
    stage = shared_page();
    for (int i = 0; i < 4; i++)
        start(add_one, 5000);
    wait_all();
    CHECK_EQ(word_get(stage), 20000);
}
