/* worker/tls_client.c: TLS towards backends: a context per pool, made when the first connection
 * needs it, and the sessions that its backends gave us. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "worker/tls_int.h"

#define KEPT_SESSIONS 256u /* per pool; a power of two */

struct kept {
    uint32_t entry, incarnation;
    SSL_SESSION *session;
};

struct tls_client {
    const struct conf_pool *conf;
    SSL_CTX *ctx;
    struct kept kept[KEPT_SESSIONS];
};

/* ---- sessions ---- */

static struct kept *place_of(struct tls_client *c, const struct upstream *u)
{
    return &c->kept[u->entry & (KEPT_SESSIONS - 1)];
}

static SSL_SESSION *session_of(struct tls_client *c, const struct upstream *u)
{
    const struct kept *k = place_of(c, u);
    return k->entry == u->entry && k->incarnation == u->incarnation ? k->session : NULL;
}

/* The backend gave a session: after the handshake, with TLS 1.3. 1: it is kept. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct upstream *u = SSL_get_app_data(ssl);
    if (!c || !u) /* its generation is gone */
        return 0;
    struct kept *k = place_of(c, u);
    SSL_SESSION_free(k->session);
    *k = (struct kept){u->entry, u->incarnation, session};
    return 1;
}

/* ---- contexts ---- */

static bool show_certificate(SSL_CTX *ctx, const struct conf_pool_tls *t)
{
    if (!t->chain.len)
        return true;
    X509 *leaf = NULL;
    STACK_OF(X509) *chain = tls_parse_chain(t->chain, &leaf);
    EVP_PKEY *key = conf_tls_key(t->key_der);
    bool good = leaf && key && chain && SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) == 1;
    EVP_PKEY_free(key);
    X509_free(leaf);
    sk_X509_pop_free(chain, X509_free);
    return good;
}

/* A store of authorities takes milliseconds to build: pools with the same list share it. */
static bool trust(struct gen *g, struct tls_client *c)
{
    const struct conf_der ca = c->conf->tls->ca_der;
    for (uint32_t i = 0; i < g->conf->pool_count; i++) {
        const struct tls_client *other = &g->clients[i];
        if (other->ctx && other != c && other->conf->tls->ca_der.data == ca.data) {
            SSL_CTX_set1_cert_store(c->ctx, SSL_CTX_get_cert_store(other->ctx));
            return true;
        }
    }
    return tls_trust(c->ctx, ca, false);
}

static bool build(struct gen *g, struct tls_client *c, const struct conf_pool *pool)
{
    const struct conf_pool_tls *t = pool->tls;
    c->conf = pool;
    c->ctx = SSL_CTX_new(TLS_client_method());
    if (!c->ctx)
        return false;
    tls_common(c->ctx);
    SSL_CTX_set_app_data(c->ctx, c);
    SSL_CTX_set_session_cache_mode(c->ctx,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(c->ctx, on_session);
    SSL_CTX_set_verify(c->ctx, t->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) == 1 &&
           show_certificate(c->ctx, t) && (!t->verify || trust(g, c));
}

static struct tls_client *client_of(struct gen *g, const struct conf_pool *pool)
{
    if (!g->clients)
        g->clients = calloc(g->conf->pool_count, sizeof *g->clients);
    if (!g->clients)
        return NULL;
    struct tls_client *c = &g->clients[pool - g->conf->pools];
    if (!c->ctx && !build(g, c, pool)) {
        log_error("pool %s: TLS cannot be set up: %s", pool->name, tls_reason());
        SSL_CTX_free(c->ctx);
        c->ctx = NULL;
    }
    return c->ctx ? c : NULL;
}

void tls_clients_free(struct gen *g)
{
    for (uint32_t i = 0; g->clients && i < g->conf->pool_count; i++) {
        struct tls_client *c = &g->clients[i];
        for (uint32_t k = 0; c->ctx && k < KEPT_SESSIONS; k++)
            SSL_SESSION_free(c->kept[k].session);
        if (c->ctx)
            SSL_CTX_set_app_data(c->ctx, NULL); /* connections hold the context, not us */
        SSL_CTX_free(c->ctx);
    }
    free(g->clients);
    g->clients = NULL;
}

/* ---- one connection ---- */

/* The host of "host:port" or "[address]:port". */
static void copy_host(const char *address, char *out, size_t cap)
{
    const char *end = strrchr(address, ':');
    size_t len = end ? (size_t)(end - address) : strlen(address);
    if (len > 1 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len >= cap)
        len = 0;
    memcpy(out, address, len);
    out[len] = '\0';
}

/* As the configuration wrote it, or as the backend was added. */
static const char *address_of(const struct upstream *u, const struct conf_pool *pool)
{
    for (uint32_t i = 0; i < pool->backend_count; i++)
        if (pool->backends[i].entry == u->entry)
            return pool->backends[i].address;
    return entry_at(u->worker->table, u->entry)->endpoint;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Asks for the backend by name, and says what its certificate must be for. */
static bool set_name(SSL *ssl, const struct upstream *u, const struct conf_pool *pool)
{
    const struct conf_pool_tls *conf = pool->tls;
    char host[256];
    if (*conf->sni)
        copy_host(conf->sni, host, sizeof host);
    else
        copy_host(address_of(u, pool), host, sizeof host);
    if (is_address(host))
        return !conf->verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    if (!*host || strcmp(host, "unix") == 0)
        return !conf->verify;
    return SSL_set_tlsext_host_name(ssl, host) == 1 &&
           (!conf->verify || SSL_set1_host(ssl, host) == 1);
}

static bool offer_protocol(SSL *ssl, const struct conf_pool *pool)
{
    static const unsigned char http1[] = "\x08http/1.1", h2[] = "\x02h2";
    bool newer = pool->protocol == CONF_TO_H2; /* 0 is success here */
    return SSL_set_alpn_protos(ssl, newer ? h2 : http1,
                               (unsigned)(newer ? sizeof h2 : sizeof http1) - 1) == 0;
}

bool tls_connect(struct upstream *u, struct gen *g, const struct conf_pool *pool, bool http)
{
    struct tls_client *c = client_of(g, pool);
    SSL *ssl = c ? SSL_new(c->ctx) : NULL;
    if (!ssl || !set_name(ssl, u, pool) || (http && !offer_protocol(ssl, pool))) {
        ERR_clear_error();
        SSL_free(ssl);
        return false;
    }
    SSL_SESSION *session = session_of(c, u);
    if (session)
        (void)SSL_set_session(ssl, session);
    SSL_set_app_data(ssl, u);
    SSL_set_connect_state(ssl);
    struct tls *link = tls_link_new(u->worker, g, ssl, &u->io);
    if (!link)
        return false;
    link->upstream = u;
    link->verify = pool->tls->verify;
    u->link = &link->link;
    return true;
}
