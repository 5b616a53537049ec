/*
 * Everything at once, in an order nobody thought of: deaths, reloads good and bad, more and fewer
 * workers, refusals, old generations that are held. Whatever happened, the instance ends up serving
 * its file with exactly the processes it wants. A failure prints the seed; CHAOS_SEED=N repeats it.
 */
#include "tests/unit/harness.h"
#include "tests/unit/master/rig.h"

#define STEPS 120

static uint64_t state;
static uint32_t workers;

static uint32_t random_below(uint32_t n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33) % n;
}

static void write_random(void)
{
    char backends[256] = "\"127.0.0.1:1\"";
    workers = 1 + random_below(4);
    for (uint32_t i = 0; i < random_below(5); i++)
        snprintf(backends + strlen(backends), sizeof backends - strlen(backends),
                 ", \"127.0.0.1:%u\"", 100 * i + 2 + random_below(50));
    if (random_below(5) == 0)
        rig_write(workers,
                  "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"nowhere\" } }\n",
                  rig_port);
    else if (random_below(3) == 0)
        rig_write(workers,
                  "listeners = { web = { bind = [ \"127.0.0.1:%u\", \"127.0.0.1:%u\" ], pool = "
                  "\"other\" } }\n"
                  "pools = { other = { backends = [ %s ] } }\n",
                  rig_port, rig_port2, backends);
    else
        rig_write_usual(workers, backends);
}

static void kill_somebody(void)
{
    static const uint32_t services[] = {SLOT_HEALTH_INDEX, SLOT_ADMIN_INDEX};
    uint32_t slot = random_below(3) == 0 ? services[random_below(2)] : random_below(4);
    uint32_t pid = rig_pid(slot);
    if (pid != 0 && !slot_is(slot, SLOT_FREE) && !slot_is(slot, SLOT_DEAD))
        (void)kill((pid_t)pid, SIGKILL);
}

static void step(void)
{
    switch (random_below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        write_random();
        CHECK_EQ(kill(master_pid, SIGUSR2), 0);
        break;
    case 4: kill_somebody(); break;
    case 5: deeds->refuse_offer = !deeds->refuse_offer; break;
    case 6: deeds->die_on_offer = random_below(4) == 0; break;
    case 7: deeds->keep_old = !deeds->keep_old; break;
    case 8: CHECK_EQ(kill(master_pid, SIGUSR1), 0); break;
    case 9: CHECK_EQ(kill(master_pid, SIGHUP), 0); break;
    case 10: deeds->stay_on_drain = !deeds->stay_on_drain; break;
    default: (void)ask(rig_port); break;
    }
    (void)poll(NULL, 0, (int)random_below(20)); /* lets some steps overlap and others not */
}

static bool settled(void)
{
    for (uint32_t w = 0; w < WORKERS_MAX; w++) {
        bool wanted = w < workers;
        if (wanted != slot_is(w, SLOT_READY) && !(slot_is(w, SLOT_FREE) && !wanted))
            return false;
    }
    return slot_is(SLOT_HEALTH_INDEX, SLOT_READY) && slot_is(SLOT_ADMIN_INDEX, SLOT_READY);
}

/* Each wanted process answers from the newest generation, nothing of the old ones is left. */
static void check_end(void)
{
    deeds->refuse_offer = deeds->die_on_offer = deeds->keep_old = deeds->stay_on_drain = false;
    workers = 3;
    rig_write_usual(workers, "\"127.0.0.1:7\", \"127.0.0.1:8\"");
    UNTIL(rig_reload());
    UNTIL(settled());
    UNTIL(rig_reload()); /* the held generations went with who held them, or go now */
    for (uint32_t w = 0; w < workers; w++)
        UNTIL(word_get(&seen.slots[w].generation) == generation());
    uint32_t found[32], row = pool_find(&seen, "app");
    CHECK_EQ(entry_members(&seen, row, found, ARRAY_LEN(found)), 2);
    bool hit[3] = {false};
    UNTIL((hit[0] && hit[1] && hit[2]) || ({
              int pid = ask(rig_port);
              for (uint32_t w = 0; w < 3; w++)
                  hit[w] |= pid == (int)rig_pid(w);
              false;
          }));
    rig_stop();
}

TEST(chaos_ends_well)
{
    const char *seed = getenv("CHAOS_SEED");
    state = seed != NULL ? strtoull(seed, NULL, 10) : clock_wall_ms();
    fprintf(stderr, "CHAOS_SEED=%llu\n", (unsigned long long)state);
    workers = 2;
    rig_prepare();
    rig_write_usual(workers, "\"127.0.0.1:1\"");
    rig_start();
    for (int i = 0; i < STEPS; i++)
        step();
    check_end();
}
