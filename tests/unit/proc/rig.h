/*
 * A child with a role that does nothing but write down which hooks were called, in memory shared
 * with the test. Include after harness.h.
 */
#ifndef BALLAST_TESTS_PROC_RIG_H
#define BALLAST_TESTS_PROC_RIG_H

#include <sys/mman.h>
#include "base/log.h"
#include "proc/bundle.h"
#include "proc/spawn.h"
#include "tests/unit/proc/channel.h"

struct witness {
    volatile uint32_t starts, serves, offers, goes, aborts, drains, reopens, messages;
    volatile uint32_t drain_ms, conf_generation, old_generation, offered_generation, listens;
    volatile bool refuse_start, refuse_offer, stay_on_drain, keep_old, hold_start;
    char text[64];
};
static struct witness *witness;
static struct table table;
static struct bundle first;
static int control = -1, pidfd = -1;
static pid_t child_pid;

static int on_start(struct child *c, char *why, size_t why_cap)
{
    witness->starts++;
    witness->listens = c->listen_count;
    if (witness->refuse_start)
        snprintf(why, why_cap, "no luck today");
    return witness->refuse_start ? -1 : 0;
}

static void on_serve(struct child *c)
{
    witness->conf_generation = c->conf->generation;
    witness->serves++;
}

static int on_offer(struct child *c, const struct conf *next, char *why, size_t why_cap)
{
    CHECK(next != c->conf);
    witness->offered_generation = next->generation;
    witness->offers++;
    if (witness->refuse_offer)
        snprintf(why, why_cap, "do not like it");
    return witness->refuse_offer ? -1 : 0;
}

static void on_go(struct child *c, const struct conf *old)
{
    witness->old_generation = old->generation;
    witness->conf_generation = c->conf->generation;
    child_listens_prune(c);
    witness->listens = c->listen_count;
    witness->goes++;
    if (!witness->keep_old)
        child_release(c, old);
}

static void on_abort(struct child *c UNUSED, const struct conf *next)
{
    CHECK_EQ(next->generation, witness->offered_generation);
    witness->aborts++;
}

static void on_drain(struct child *c, uint32_t deadline_ms)
{
    witness->drain_ms = deadline_ms;
    witness->drains++;
    CHECK(c->draining);
    if (!witness->stay_on_drain)
        child_exit(c);
}

static void on_reopen(struct child *c UNUSED)
{
    log_error("written after reopen");
    witness->reopens++;
}

static void on_message(struct child *c, uint32_t type, uint32_t number, const char *text,
                       int fd UNUSED)
{
    CHECK_EQ(type, CTL_RELOADED);
    snprintf(witness->text, sizeof witness->text, "%u %s", number, text);
    CHECK_EQ(child_ask(c, CTL_RELOAD, 5, "again"), 0);
    witness->messages++;
}

static const struct role rig_role = {.name = "tiny",
                                     .slot_role = SLOT_WORKER,
                                     .start = on_start,
                                     .serve = on_serve,
                                     .offer = on_offer,
                                     .go = on_go,
                                     .abort = on_abort,
                                     .drain = on_drain,
                                     .reopen = on_reopen,
                                     .message = on_message};

/* A generation with the fields a child looks at. */
__attribute__((unused)) static void rig_bundle(struct bundle *b, uint32_t generation)
{
    CHECK_EQ(bundle_begin(b), 0);
    struct conf *c = ARENA_NEW(&b->arena, struct conf);
    c->generation = generation;
    c->user = c->pid_file = c->path = arena_strdup(&b->arena, "");
    c->drain_timeout_ms = 200;
    c->log.level = "error";
    c->log.target = "stderr";
    CHECK_EQ(bundle_seal(b, c), 0);
}

__attribute__((unused)) static void rig_open(void)
{
    char why[256];
    log_set_level(LOG_LEVEL_ERROR);
    witness =
        mmap(NULL, sizeof *witness, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(witness != MAP_FAILED);
    CHECK_EQ(bundle_reserve(why, sizeof why), 0);
    CHECK_EQ(table_create(&table, "", why, sizeof why), 0);
    CHECK_EQ(slot_claim(&table, 3, SLOT_WORKER, 3), 0);
    rig_bundle(&first, 1);
}

__attribute__((unused)) static struct spawn rig_spawn(void)
{
    return (struct spawn){.role = &rig_role,
                          .table = &table,
                          .slot = 3,
                          .index = 3,
                          .conf = first.conf,
                          .user = "",
                          .stay_open = {-1}};
}

__attribute__((unused)) static void rig_start(const struct spawn *s)
{
    child_pid = spawn_child(s, &control, &pidfd);
    CHECK(child_pid > 0);
}

/* Started, READY, GO. */
__attribute__((unused)) static void rig_serve(void)
{
    struct spawn s = rig_spawn();
    rig_start(&s);
    CHECK_EQ(expect(control, CTL_READY).generation, 1);
    tell(control, CTL_GO, 0);
}

__attribute__((unused)) static void rig_offer(const struct bundle *b, uint32_t generation)
{
    struct ctl_msg m = {.type = CTL_OFFER,
                        .generation = generation,
                        .fd_count = 1,
                        .address = (uint64_t)(uintptr_t)b->address,
                        .len_bytes = b->len_bytes,
                        .root = (uint64_t)(uintptr_t)b->conf};
    CHECK_EQ(ctl_send(control, &m, &b->fd), 0);
    tell(control, CTL_OFFER_END, 0);
}

/* The child's wait status once it has died. */
__attribute__((unused)) static int rig_end(void)
{
    int status;
    wait_readable(pidfd);
    CHECK_EQ(waitpid(child_pid, &status, 0), child_pid);
    table_unlink(&table);
    return status;
}

#endif
