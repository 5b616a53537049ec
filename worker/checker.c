#include "worker/checker.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/log.h"
#include "worker/conn.h"

#define MEMORY_SLOTS 4096u /* a power of two */

struct check {
    struct check *next;
    struct txn *txn; /* NULL: forgotten. Of the loop alone */
    void (*done)(struct txn *t, bool right);
    uint64_t tag[2];
    enum auth_scheme scheme;
    bool impossible, right;
    size_t bytes;
    const char *password;
    char hash[]; /* then the password */
};

struct memory {
    uint64_t tag[2];
    uint64_t until_us; /* 0: nothing */
};

struct checker {
    struct worker *worker;
    struct ev_async wake;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more;
    struct check *first, **last, *finished;
    /* of the loop alone */
    uint32_t waiting;
    struct hash_key keys[2];
    struct memory memory[MEMORY_SLOTS];
};

/* ---- the thread ---- */

static struct check *next_check(struct checker *k)
{
    pthread_mutex_lock(&k->lock);
    while (!k->first)
        pthread_cond_wait(&k->more, &k->lock);
    struct check *c = k->first;
    k->first = c->next;
    if (!k->first)
        k->last = &k->first;
    pthread_mutex_unlock(&k->lock);
    return c;
}

static void *run(void *data)
{
    struct checker *k = data;
    for (;;) {
        struct check *c = next_check(k);
        c->right = checker_verify(c->scheme, c->hash, c->password) && !c->impossible;
        pthread_mutex_lock(&k->lock);
        c->next = k->finished;
        k->finished = c;
        pthread_mutex_unlock(&k->lock);
        ev_async_send(k->worker->loop, &k->wake);
    }
    return NULL;
}

/* ---- the loop's side ---- */

static void remember(struct checker *k, const struct check *c)
{
    struct memory *m = &k->memory[c->tag[0] & (MEMORY_SLOTS - 1)];
    m->tag[0] = c->tag[0];
    m->tag[1] = c->tag[1];
    m->until_us = k->worker->now_us + CHECKER_REMEMBER_S * 1000000ull;
}

static void finish(struct checker *k, struct check *c)
{
    k->waiting--;
    if (c->right)
        remember(k, c);
    if (c->txn) {
        struct conn *conn = c->txn->conn;
        c->done(c->txn, c->right);
        conn_continue(conn);
    }
    OPENSSL_cleanse(c, sizeof *c + c->bytes);
    free(c);
}

static void on_wake(struct ev_loop *loop UNUSED, struct ev_async *wake, int events UNUSED)
{
    struct checker *k = CONTAINER_OF(wake, struct checker, wake);
    pthread_mutex_lock(&k->lock);
    struct check *c = k->finished;
    k->finished = NULL;
    pthread_mutex_unlock(&k->lock);
    for (struct check *next; c; c = next) {
        next = c->next;
        finish(k, c);
    }
}

/* Signals stay with the loop. */
static int start_thread(struct checker *k)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, run, k);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        log_error("no thread to check passwords: error=\"%s\"", strerror(error));
    else
        pthread_detach(thread);
    return error ? -1 : 0;
}

static struct checker *checker_of(struct worker *w)
{
    if (w->checker)
        return w->checker;
    struct checker *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->worker = w;
    k->last = &k->first;
    k->keys[0] = hash_key_random();
    k->keys[1] = hash_key_random();
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->more, NULL);
    if (start_thread(k) == -1) {
        free(k);
        return NULL;
    }
    ev_async_init(&k->wake, on_wake);
    ev_async_start(w->loop, &k->wake);
    ev_unref(w->loop); /* it keeps nobody from leaving */
    return w->checker = k;
}

static bool make_tag(const struct checker *k, const char *hash, const char *password, size_t len,
                     uint64_t tag[2])
{
    char text[2048];
    size_t hash_len = strlen(hash);
    if (hash_len + 1 + len > sizeof text)
        return false;
    memcpy(text, hash, hash_len + 1);
    memcpy(text + hash_len + 1, password, len);
    for (unsigned i = 0; i < 2; i++)
        tag[i] = hash_bytes(k->keys[i], text, hash_len + 1 + len);
    OPENSSL_cleanse(text, sizeof text);
    return true;
}

bool checker_knows(struct worker *w, const char *hash, const char *password, size_t len)
{
    const struct checker *k = w->checker;
    uint64_t tag[2];
    if (!k || !make_tag(k, hash, password, len, tag))
        return false;
    const struct memory *m = &k->memory[tag[0] & (MEMORY_SLOTS - 1)];
    return m->until_us > w->now_us && m->tag[0] == tag[0] && m->tag[1] == tag[1];
}

static struct check *new_check(const struct auth_user *u, const char *password, size_t len)
{
    size_t hash_len = strlen(u->hash), bytes = hash_len + 1 + len + 1;
    struct check *c = calloc(1, sizeof *c + bytes);
    if (!c)
        return NULL;
    memcpy(c->hash, u->hash, hash_len);
    memcpy(c->hash + hash_len + 1, password, len);
    c->password = c->hash + hash_len + 1;
    c->bytes = bytes;
    c->scheme = u->scheme;
    return c;
}

struct check *checker_ask(struct txn *t, const struct auth_user *u, const char *password,
                          size_t len, bool impossible, void (*done)(struct txn *t, bool right))
{
    struct checker *k = checker_of(t->worker);
    struct check *c = k && k->waiting < CHECKER_QUEUE_MAX ? new_check(u, password, len) : NULL;
    if (!c || !make_tag(k, u->hash, password, len, c->tag)) {
        free(c);
        return NULL;
    }
    c->txn = t;
    c->done = done;
    c->impossible = impossible;
    k->waiting++;
    pthread_mutex_lock(&k->lock);
    *k->last = c;
    k->last = &c->next;
    pthread_cond_signal(&k->more);
    pthread_mutex_unlock(&k->lock);
    return c;
}

void checker_forget(struct check *c)
{
    c->txn = NULL;
}
