/*
 * tests/unit/shm/fixture.h: a table of the test's own, with a pool and some backends, and helpers
 * to be several processes.
 */
#ifndef BALLAST_TESTS_SHM_FIXTURE_H
#define BALLAST_TESTS_SHM_FIXTURE_H

#include "tests/unit/harness.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include "shm/entry.h"
#include "shm/pool.h"
#include "shm/slot.h"
#include "shm/table.h"

static struct table table;

__attribute__((unused)) static void drop_table(void)
{
    if (table.base && table.header->master_pid == (uint32_t)getpid())
        table_unlink(&table);
}

/* A /dev/shm of the test's own, so that neither sweeps nor searches see other tests or instances,
 * nor they ours. Needs root; false: the host's is used. */
__attribute__((unused)) static bool isolate(const char *options)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/dev/shm", "tmpfs", 0, options) == 0;
}

/* The test's table, removed when the test ends well. */
__attribute__((unused)) static struct table *make_table(void)
{
    char why[256] = "";
    if (table_create(&table, "/etc/test.conf", why, sizeof why) == -1)
        fprintf(stderr, "%s\n", why);
    CHECK_STR(why, "");
    atexit(drop_table);
    return &table;
}

__attribute__((unused)) static uint32_t make_pool(struct table *t, const char *name)
{
    table_lock(t);
    uint32_t pool = pool_add(t, name);
    table_unlock(t);
    CHECK(pool != INDEX_NONE);
    return pool;
}

__attribute__((unused)) static uint32_t try_entry(struct table *t, uint32_t pool, const char *name,
                                                  uint32_t max_connections)
{
    struct entry_spec spec = {.name = name,
                              .endpoint = "127.0.0.1:9",
                              .weight = 1,
                              .max_connections = max_connections,
                              .origin = ORIGIN_CONF};
    table_lock(t);
    uint32_t index = entry_add(t, pool, &spec);
    table_unlock(t);
    return index;
}

__attribute__((unused)) static uint32_t make_entry(struct table *t, uint32_t pool, const char *name,
                                                   uint32_t max_connections)
{
    uint32_t index = try_entry(t, pool, name, max_connections);
    CHECK(index != INDEX_NONE);
    return index;
}

__attribute__((unused)) static void remove_entry(struct table *t, uint32_t index)
{
    table_lock(t);
    entry_remove(t, index);
    table_unlock(t);
}

__attribute__((unused)) static void make_workers(struct table *t, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(slot_claim(t, i, SLOT_WORKER, i), 0);
}

/* Memory that several processes of a test share, besides the table. */
__attribute__((unused)) static void *shared_page(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

__attribute__((unused)) static pid_t start(void (*run)(uint32_t), uint32_t argument)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid != -1);
    if (pid == 0) {
        run(argument);
        _exit(0);
    }
    return pid;
}

__attribute__((unused)) static void wait_all(void)
{
    int status;
    while (wait(&status) > 0)
        CHECK_EQ(status, 0);
}

__attribute__((unused)) static void kill_and_wait(pid_t pid)
{
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

/* Waits, without sleeping, until another process has set the word. The test's deadline ends it. */
__attribute__((unused)) static void await(const atom32 *word, uint32_t at_least)
{
    while (atomic_load(word) < at_least)
        sched_yield();
}

#endif
