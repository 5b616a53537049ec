/* worker/tls_server.c: what a generation's listeners need for TLS: a context each, and the
 * certificates, parsed when the first client asks for them. */
#include <openssl/err.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/net.h"
#include "worker/tls.h"
#include "worker/tls_int.h"

#define GROUPS       "X25519:P-256:P-384"
#define SESSIONS_MAX 20480 /* that a worker remembers for a listener without tickets */

struct tls_cert {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* without the leaf */
    bool tried;
};

struct tls_server {
    const struct conf_tls *conf;
    SSL_CTX *ctx;
    struct tls_cert *certs; /* as conf->certificates */
};

/* ---- certificates ---- */

STACK_OF(X509) * tls_parse_chain(struct conf_der bytes, X509 **leaf)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    const unsigned char *at = bytes.data, *end = bytes.data + bytes.len;
    *leaf = d2i_X509(NULL, &at, end - at);
    while (chain && *leaf && at < end) {
        X509 *next = d2i_X509(NULL, &at, end - at);
        if (!next || !sk_X509_push(chain, next)) {
            X509_free(next);
            break;
        }
    }
    return chain;
}

static const struct tls_cert *cert_at(struct tls_server *s, uint32_t index)
{
    struct tls_cert *c = &s->certs[index];
    if (!c->tried) {
        const struct conf_certificate *conf = &s->conf->certificates[index];
        c->tried = true;
        c->chain = tls_parse_chain(conf->chain, &c->leaf);
        c->key = conf_tls_key(conf->key_der);
        ERR_clear_error();
    }
    return c->leaf && c->key && c->chain ? c : NULL;
}

static void free_cert(struct tls_cert *c)
{
    X509_free(c->leaf);
    EVP_PKEY_free(c->key);
    sk_X509_pop_free(c->chain, X509_free);
}

static bool use_on_context(struct tls_server *s, const struct conf_tls_name *name)
{
    bool any = false;
    for (uint32_t k = 0; k < CONF_KEY_KINDS; k++) {
        const struct tls_cert *c =
            name->certificates[k] != INDEX_NONE ? cert_at(s, name->certificates[k]) : NULL;
        any |= c && SSL_CTX_use_cert_and_key(s->ctx, c->leaf, c->key, c->chain, 1) == 1;
    }
    return any;
}

static bool use(struct tls_server *s, SSL *ssl, const struct conf_tls_name *name)
{
    bool any = false;
    SSL_certs_clear(ssl);
    for (uint32_t k = 0; k < CONF_KEY_KINDS; k++) {
        const struct tls_cert *c =
            name->certificates[k] != INDEX_NONE ? cert_at(s, name->certificates[k]) : NULL;
        any |= c && SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1) == 1;
    }
    return any;
}

static int on_certificate(SSL *ssl, void *data)
{
    struct tls_server *s = data;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct conf_tls_name *name = asked ? conf_tls_find(s->conf, asked) : &s->conf->fallback;
    if (memcmp(name->certificates, s->conf->fallback.certificates, sizeof name->certificates) == 0)
        return 1; /* the context has them */
    return use(s, ssl, name);
}

/* ---- callbacks ---- */

static int on_alpn(SSL *ssl UNUSED, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *data)
{
    const struct tls_server *s = data;
    for (uint32_t i = 0; i < s->conf->alpn_count; i++) {
        size_t len = strlen(s->conf->alpn[i]);
        for (unsigned at = 0; at < in_len; at += 1u + in[at])
            if (in[at] == len && memcmp(in + at + 1, s->conf->alpn[i], len) == 0) {
                *out = in + at + 1;
                *out_len = in[at];
                return SSL_TLSEXT_ERR_OK;
            }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
}

static int on_status(SSL *ssl, void *data)
{
    const struct tls_server *s = data;
    const X509 *leaf = SSL_get_certificate(ssl);
    for (uint32_t i = 0; leaf && i < s->conf->certificate_count; i++) {
        struct conf_der r = s->conf->certificates[i].ocsp_der;
        if (s->certs[i].leaf != leaf || r.len == 0)
            continue;
        if (s->conf->certificates[i].ocsp_until_s <= clock_wall_ms() / 1000)
            break; /* better none than an old one: clients refuse those */
        unsigned char *copy = OPENSSL_memdup(r.data, r.len);
        if (!copy || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)r.len) != 1)
            break;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* ---- contexts ---- */

void tls_common(SSL_CTX *ctx)
{
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (net_kernel_tls())
        SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    else
        SSL_CTX_set_read_ahead(ctx, 1); /* a record with one system call */
    (void)SSL_CTX_set1_groups_list(ctx, GROUPS);
}

static void set_sessions(struct tls_server *s, const char *listener)
{
    unsigned char id[SHA256_DIGEST_LENGTH];
    unsigned char ca[SHA256_DIGEST_LENGTH];
    const struct conf_tls *t = s->conf;
    char text[sizeof ca * 2 + 128];
    (void)SHA256(t->client_ca_der.data, t->client_ca_der.len, ca);
    int len = snprintf(text, sizeof text, "%s %d ", listener, (int)t->client_verify);
    memcpy(text + len, ca, sizeof ca);
    (void)SHA256((const unsigned char *)text, (size_t)len + sizeof ca, id);
    (void)SSL_CTX_set_session_id_context(s->ctx, id, sizeof id);
    (void)SSL_CTX_set_timeout(s->ctx, (long)((t->session_timeout_ms + 999) / 1000));
    if (t->tickets) {
        SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF);
        tls_tickets(s->ctx);
    } else {
        SSL_CTX_set_options(s->ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_SERVER);
        (void)SSL_CTX_sess_set_cache_size(s->ctx, SESSIONS_MAX);
    }
}

static bool set_versions(struct tls_server *s)
{
    const struct conf_tls *t = s->conf;
    int least = t->min_version == CONF_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_options(s->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    return SSL_CTX_set_min_proto_version(s->ctx, least) == 1 &&
           SSL_CTX_set_cipher_list(s->ctx, t->cipher_list) == 1 &&
           SSL_CTX_set_ciphersuites(s->ctx, t->ciphersuites) == 1;
}

bool tls_trust(SSL_CTX *ctx, struct conf_der authorities, bool name_them)
{
    X509 *first = NULL;
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    STACK_OF(X509) *rest = tls_parse_chain(authorities, &first);
    bool good = first && rest && sk_X509_unshift(rest, first);
    if (!good)
        X509_free(first);
    for (int i = 0; good && i < sk_X509_num(rest); i++) {
        X509 *x = sk_X509_value(rest, i);
        good = X509_STORE_add_cert(store, x) == 1 && (!name_them || SSL_CTX_add_client_CA(ctx, x));
    }
    sk_X509_pop_free(rest, X509_free);
    ERR_clear_error();
    return good;
}

static bool set_clients(struct tls_server *s)
{
    const struct conf_tls *t = s->conf;
    if (t->client_verify == CONF_VERIFY_OFF)
        return true;
    bool required = t->client_verify == CONF_VERIFY_REQUIRED;
    SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       NULL);
    return tls_trust(s->ctx, t->client_ca_der, true);
}

static bool has_ocsp(const struct conf_tls *t)
{
    for (uint32_t i = 0; i < t->certificate_count; i++)
        if (t->certificates[i].ocsp_der.len)
            return true;
    return false;
}

static bool build(struct tls_server *s, const struct conf_listener *l)
{
    s->conf = l->tls;
    s->certs = calloc(l->tls->certificate_count, sizeof *s->certs);
    s->ctx = SSL_CTX_new(TLS_server_method());
    if (!s->certs || !s->ctx)
        return false;
    tls_common(s->ctx);
    set_sessions(s, l->name);
    SSL_CTX_set_cert_cb(s->ctx, on_certificate, s);
    if (s->conf->alpn_count)
        SSL_CTX_set_alpn_select_cb(s->ctx, on_alpn, s);
    if (has_ocsp(s->conf)) {
        SSL_CTX_set_tlsext_status_cb(s->ctx, on_status);
        SSL_CTX_set_tlsext_status_arg(s->ctx, s);
    }
    return set_versions(s) && set_clients(s) && use_on_context(s, &s->conf->fallback);
}

int tls_servers_build(struct gen *g, char *why, size_t why_cap)
{
    const struct conf *conf = g->conf;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *l = &conf->listeners[i];
        if (!l->tls)
            continue;
        if (!g->servers)
            g->servers = calloc(conf->listener_count, sizeof *g->servers);
        if (g->servers && build(&g->servers[i], l))
            continue;
        unsigned long code = ERR_peek_error();
        const char *reason = code ? ERR_reason_error_string(code) : NULL;
        snprintf(why, why_cap, "listener %s: TLS: %s", l->name, reason ? reason : "out of memory");
        ERR_clear_error();
        return -1;
    }
    return 0;
}

void tls_servers_free(struct gen *g)
{
    for (uint32_t i = 0; g->servers && i < g->conf->listener_count; i++) {
        struct tls_server *s = &g->servers[i];
        for (uint32_t c = 0; s->certs && c < s->conf->certificate_count; c++)
            free_cert(&s->certs[c]);
        free(s->certs);
        SSL_CTX_free(s->ctx);
    }
    free(g->servers);
    g->servers = NULL;
}

SSL *tls_server_new(struct gen *g, const struct conf_listener *listener)
{
    struct tls_server *s = &g->servers[listener - g->conf->listeners];
    SSL *ssl = s->ctx ? SSL_new(s->ctx) : NULL;
    if (!ssl)
        ERR_clear_error();
    return ssl;
}
