/*
 * The client library, driven line by line: each line of stdin is a command, answered by one line.
 *
 *   open INSTANCE STALE_MS FALLBACK FLAGS   "-" for none; a: may be absent, k: keep when stale,
 *                                           u: uncounted
 *   pick POOL [KEY]         -> RESULT NUMBER BACKEND ENDPOINT SLOT GENERATION STALE
 *   other NUMBER            -> the same
 *   report NUMBER OUTCOME LATENCY_US   s, f or a
 *   many POOL COUNT         -> RESULT=N ... BACKEND=N ...   each reported at once as a success
 *   spin POOL COUNT         as many, in four threads
 *   fork POOL COUNT         as many, in a child
 *   load POOL COUNT         real requests of /work until COUNT were answered, in each of four
 * threads: ok=N, the results of picks, and failed=N fresh                   -> 1 or 0 and why
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "client/ballast_client.h"

#define PICKS   4096
#define NAMES   64
#define THREADS 4
#define LOAD_S  90 /* at most */

static struct ballast_client *client;
static struct ballast_pick picks[PICKS];
static int pick_count;

struct tally {
    char names[NAMES][80];
    unsigned counts[NAMES];
};

static void count(struct tally *t, const char *name, unsigned n)
{
    for (int i = 0; i < NAMES; i++) {
        if (t->names[i][0] && strcmp(t->names[i], name) != 0)
            continue;
        snprintf(t->names[i], sizeof t->names[i], "%s", name);
        t->counts[i] += n;
        return;
    }
}

static void print_tally(const struct tally *t)
{
    for (int i = 0; i < NAMES && t->names[i][0]; i++)
        printf("%s=%u ", t->names[i], t->counts[i]);
    printf("\n");
}

static void many(struct tally *t, const char *pool, long n)
{
    for (long i = 0; i < n; i++) {
        char key[32];
        struct ballast_pick pick;
        int len = snprintf(key, sizeof key, "/x?%ld", i);
        enum ballast_result result = ballast_pick(client, pool, key, (size_t)len, &pick);
        count(t, ballast_result_name(result), 1);
        if (result != BALLAST_OK)
            continue;
        count(t, pick.backend, 1);
        ballast_report(client, &pick, BALLAST_SUCCESS, 100);
    }
}

struct thread {
    pthread_t id;
    struct tally tally;
    const char *pool;
    long n;
};

static void *run_thread(void *argument)
{
    struct thread *t = argument;
    many(&t->tally, t->pool, t->n);
    return NULL;
}

/* One request: was it answered with 200? */
static int ask(const struct ballast_pick *pick)
{
    static const char text[] = "GET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char answer[256] = "";
    int fd = socket(pick->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&pick->address, pick->address_len) == 0 &&
        send(fd, text, sizeof text - 1, MSG_NOSIGNAL) == (ssize_t)sizeof text - 1)
        (void)!recv(fd, answer, sizeof answer - 1, MSG_WAITALL);
    close(fd);
    return strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

static void *load_thread(void *argument)
{
    struct thread *t = argument;
    time_t end = time(NULL) + LOAD_S;
    for (long done = 0; done < t->n && time(NULL) < end;) {
        struct ballast_pick pick;
        enum ballast_result result = ballast_pick(client, t->pool, NULL, 0, &pick);
        count(&t->tally, ballast_result_name(result), 1);
        if (result != BALLAST_OK) {
            sched_yield();
            continue;
        }
        int ok = ask(&pick);
        ballast_report(client, &pick, ok ? BALLAST_SUCCESS : BALLAST_FAILURE, 1000);
        count(&t->tally, "failed", !ok);
        done += ok;
    }
    return NULL;
}

static void spin(void *(*run_one)(void *), const char *pool, long n)
{
    static struct thread threads[THREADS];
    struct tally all = {0};
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.pool = pool, .n = n / THREADS};
        if (pthread_create(&threads[i].id, NULL, run_one, &threads[i]) != 0)
            abort();
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        for (int k = 0; k < NAMES && threads[i].tally.names[k][0]; k++)
            count(&all, threads[i].tally.names[k], threads[i].tally.counts[k]);
    }
    print_tally(&all);
}

static void in_child(const char *pool, long n)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct tally t = {0};
        many(&t, pool, n);
        print_tally(&t);
        ballast_client_close(client);
        fflush(stdout);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        printf("the child ended with %d\n", status);
}

static void print_pick(int number, enum ballast_result result)
{
    const struct ballast_pick *p = &picks[number];
    printf("%s %d %s %s %u %u %d %d\n", ballast_result_name(result), number,
           p->backend[0] ? p->backend : "-", p->endpoint[0] ? p->endpoint : "-", p->slot,
           p->generation, p->stale, (int)p->address_len);
}

static const char *given(const char *word)
{
    return strcmp(word, "-") == 0 ? NULL : word;
}

static void open_client(const char *instance, const char *stale_ms, const char *fallback,
                        const char *flags)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    char why[256] = "";
    options.stale_ms = (uint32_t)strtoul(stale_ms, NULL, 10);
    options.fallback = given(fallback);
    options.may_be_absent = strchr(flags, 'a') != NULL;
    options.keep_when_stale = strchr(flags, 'k') != NULL;
    options.uncounted = strchr(flags, 'u') != NULL;
    ballast_client_close(client);
    client = ballast_client_open(given(instance), &options, why, sizeof why);
    printf("%s\n", client ? "opened" : why);
}

static void print_fresh(void)
{
    char why[256];
    int fresh = ballast_client_is_fresh(client, why, sizeof why);
    printf("%d %s\n", fresh, why);
}

static void report(const char *number, char outcome, const char *latency_us)
{
    ballast_report(client, &picks[strtol(number, NULL, 10) % PICKS],
                   outcome == 's'   ? BALLAST_SUCCESS
                   : outcome == 'f' ? BALLAST_FAILURE
                                    : BALLAST_ABANDONED,
                   strtoull(latency_us, NULL, 10));
    printf("reported\n");
}

static void obey(char words[5][512], int n)
{
    if (strcmp(words[0], "open") == 0 && n == 5) {
        open_client(words[1], words[2], words[3], words[4]);
    } else if (strcmp(words[0], "pick") == 0 && n >= 2) {
        int number = pick_count++ % PICKS;
        print_pick(number, ballast_pick(client, words[1], n > 2 ? words[2] : NULL, strlen(words[2]),
                                        &picks[number]));
    } else if (strcmp(words[0], "other") == 0 && n == 2) {
        int number = (int)(strtol(words[1], NULL, 10) % PICKS);
        print_pick(number, ballast_pick_other(client, &picks[number]));
    } else if (strcmp(words[0], "report") == 0 && n == 4) {
        report(words[1], words[2][0], words[3]);
    } else if (strcmp(words[0], "many") == 0 && n == 3) {
        struct tally t = {0};
        many(&t, words[1], strtol(words[2], NULL, 10));
        print_tally(&t);
    } else if (strcmp(words[0], "spin") == 0 && n == 3) {
        spin(run_thread, words[1], strtol(words[2], NULL, 10));
    } else if (strcmp(words[0], "load") == 0 && n == 3) {
        spin(load_thread, words[1], THREADS * strtol(words[2], NULL, 10));
    } else if (strcmp(words[0], "fork") == 0 && n == 3) {
        in_child(words[1], strtol(words[2], NULL, 10));
    } else if (strcmp(words[0], "fresh") == 0) {
        print_fresh();
    } else {
        printf("what?\n");
    }
}

int main(void)
{
    char line[2600];
    while (fgets(line, sizeof line, stdin)) {
        char words[5][512] = {{0}};
        int n = sscanf(line, "%511s %511s %511s %511s %511s", words[0], words[1], words[2],
                       words[3], words[4]);
        if (n > 0)
            obey(words, n);
        fflush(stdout);
    }
    ballast_client_close(client);
    return 0;
}
