/*
 * conf/sni.h: where a tcp listener sends TLS connections by the name (SNI) and the protocols (ALPN)
 * that their ClientHello asks for. The most specific name wins: exact, then the wildcard with the
 * longest end, then "*", which stands for any name and none; among rules of one name the first
 * whose protocols fit. Compiled when the file is loaded: a lookup costs a hash per label of the
 * name.
 */
#ifndef BALLAST_CONF_SNI_H
#define BALLAST_CONF_SNI_H

#include "base/client_hello.h"
#include "conf/conf.h"

struct conf_sni_rule {
    const char *host;  /* lower case; "a.example", "*.a.example" or "*" */
    const char **alpn; /* the client offers one of these; none: any */
    uint32_t alpn_count;
    uint32_t pool;
    uint32_t next; /* of the same name; INDEX_NONE: none */
    struct conf_pos pos;
};

struct conf_sni {
    struct conf_sni_rule *rules;
    uint32_t count;
    uint32_t mask;   /* slots - 1 */
    uint32_t *slots; /* first rule of a name by its hash, the next free one; INDEX_NONE: free */
};

/* The pool that a ClientHello asks for, or INDEX_NONE. */
uint32_t sni_find(const struct conf_sni *sni, const struct client_hello *hello);

#endif
