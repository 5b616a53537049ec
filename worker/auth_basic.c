/* worker/auth.h: passwords (RFC 7617). */
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include "base/base64url.h"
#include "conf/route.h"
#include "worker/access_log.h"
#include "worker/auth.h"
#include "worker/checker.h"
#include "worker/reply.h"
#include "worker/txn.h"
#include "worker/txn_start.h"

#define CREDENTIALS_MAX 1024u
#define CHECK_MS        10000u

static void refuse(struct txn *t)
{
    char fields[320];
    snprintf(fields, sizeof fields, "WWW-Authenticate: Basic realm=\"%s\", charset=\"UTF-8\"\r\n",
             t->route->guard->realm);
    t->end = "wrong or no credentials";
    reply_error_with(t, 401, "Unauthorized", fields);
}

static void over(struct txn *t)
{
    txn_cancel_wait(t);
    txn_fail(t, 503, "Passwords take too long to check");
}

static void cancel(struct txn *t)
{
    if (t->check)
        checker_forget(t->check);
    t->check = NULL;
}

static const struct txn_wait waiting = {over, cancel};

static void on_checked(struct txn *t, bool right)
{
    t->check = NULL;
    t->wait = NULL;
    if (right)
        txn_advance(t);
    else
        refuse(t);
}

/* "user:password", decoded and ended with a zero; the length of the user's name, or 0. */
static size_t read_credentials(const struct http1_head *h, const char *base,
                               char out[CREDENTIALS_MAX + 1])
{
    uint32_t len = 0;
    const char *text = auth_credentials(h, base, "Basic", &len);
    size_t n = text ? base64_decode(text, len, (unsigned char *)out, CREDENTIALS_MAX) : 0;
    const char *colon = n ? memchr(out, ':', n) : NULL;
    out[n] = '\0';
    return colon && strlen(out) == n ? (size_t)(colon - out) : 0;
}

/* Right already, or waiting for the answer, or refused. */
static bool check(struct txn *t, const char *credentials, size_t name_len)
{
    const struct conf_auth *a = t->route->guard;
    const char *password = credentials + name_len + 1;
    const struct auth_user *u = auth_find_user(a, credentials, name_len);
    const struct auth_user *asked = u ? u : &a->users[0]; /* takes as long as for one that exists */
    if (u && checker_knows(t->worker, u->hash, password, strlen(password)))
        return true;
    t->check = checker_ask(t, asked, password, strlen(password), !u, on_checked);
    if (t->check)
        txn_wait(t, &waiting, CHECK_MS);
    else
        txn_fail(t, 503, "Too many passwords to check");
    return false;
}

bool auth_basic(struct txn *t, const struct http1_head *h, const char *base)
{
    char credentials[CREDENTIALS_MAX + 1];
    size_t name_len = read_credentials(h, base, credentials);
    bool right = false;
    if (name_len && t->note)
        access_note_user(t, credentials, (uint32_t)name_len);
    if (name_len)
        right = check(t, credentials, name_len);
    else
        refuse(t);
    OPENSSL_cleanse(credentials, sizeof credentials);
    return right;
}
