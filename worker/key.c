/* worker/key.c */
#include "worker/key.h"

#include "worker/peer.h"
#include "worker/vars.h"

uint64_t key_hash(const struct txn *t, const char *what, const struct http1_head *head,
                  const char *base)
{
    struct peer p = t->conn->peer;
    if (UNLIKELY(t->listener && t->listener->trusted_count) && head) {
        struct net_addr client;
        vars_client(t, head, base, &client);
        peer_from_addr(&p, &client);
    }
    return key_hash_request(what, head, base, p.ip, p.family == AF_INET ? 4 : sizeof p.ip);
}

void key_fill(struct txn *t, const struct http1_head *head, const char *base)
{
    enum lb_key key = t->pool->view.algorithm->key;
    const char *what = key == LB_KEY_URI      ? "uri"
                       : key == LB_KEY_CLIENT ? "client_ip"
                                              : t->pool->conf->hash_key;
    if (key != LB_KEY_NONE)
        t->lb.key = key_hash(t, what, head, base);
}
