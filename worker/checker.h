/*
 * worker/checker.h: passwords against hashes, in a thread of its own, started with the first one.
 * What it works on is a copy; nothing else of the worker is seen by it. The queue is bounded: a
 * flood of guesses meets 503, not the memory. What was right is remembered for CHECKER_REMEMBER_S
 * under a keyed hash of hash, user and password (SipHash with two random keys), in a table of fixed
 * size.
 */
#ifndef BALLAST_WORKER_CHECKER_H
#define BALLAST_WORKER_CHECKER_H

#include "conf/auth.h"
#include "worker/types.h"

#define CHECKER_QUEUE_MAX  256u
#define CHECKER_REMEMBER_S 300u

struct checker;
struct check;

/* Was this very password right for this hash a while ago? */
bool checker_knows(struct worker *w, const char *hash, const char *password, size_t len);
/* Begins a check for t, which waits. impossible: there is no such user, and that is to take as
 * long. When it is over done(t, right) is called, unless it was forgotten. NULL: too many. */
struct check *checker_ask(struct txn *t, const struct auth_user *u, const char *password,
                          size_t len, bool impossible,
                          void (*done)(struct txn *t, bool right)) MUST_CHECK;
void checker_forget(struct check *c);
/* The hash itself; blocks. For the thread and tests. */
bool checker_verify(enum auth_scheme scheme, const char *hash, const char *password);

#endif
