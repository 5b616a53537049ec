/* worker/key.c */
#include "worker/key.h"

uint64_t key_hash(const struct txn *t, const char *what, const struct http1_head *head,
                  const char *base)
{
    const struct peer *p = &t->conn->peer;
    return key_hash_request(what, head, base, p->ip, p->family == AF_INET ? 4 : sizeof p->ip);
}

void key_fill(struct txn *t, const struct http1_head *head, const char *base)
{
    enum lb_key key = t->pool->view.algorithm->key;
    const char *what = key == LB_KEY_URI ? "uri" : t->pool->conf->hash_key;
    if (key != LB_KEY_NONE)
        t->lb.key = key_hash(t, what, key == LB_KEY_CLIENT ? NULL : head, base);
}
