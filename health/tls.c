#include "health/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXTS_MAX 16u

/* ---- contexts: building a store of issuers costs milliseconds, a handshake uses it ---- */

struct context {
    SSL_CTX *ctx;
    bool verify;
    char *ca_pem;
};

static struct context contexts[CONTEXTS_MAX];
static unsigned next_context;

static void add_issuers(SSL_CTX *ctx, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *issuer;
    while (bio != NULL && (issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), issuer);
        X509_free(issuer);
    }
    BIO_free(bio);
}

static SSL_CTX *make_context(bool verify, const char *ca_pem)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (verify && *ca_pem)
        add_issuers(ctx, ca_pem);
    else if (verify)
        (void)SSL_CTX_set_default_verify_paths(ctx);
    return ctx;
}

static SSL_CTX *context_of(bool verify, const char *ca_pem)
{
    if (!verify)
        ca_pem = "";
    for (unsigned i = 0; i < CONTEXTS_MAX; i++)
        if (contexts[i].ctx != NULL && contexts[i].verify == verify &&
            strcmp(contexts[i].ca_pem, ca_pem) == 0)
            return contexts[i].ctx;
    struct context *c = &contexts[next_context];
    char *kept = strdup(ca_pem);
    SSL_CTX *ctx = kept == NULL ? NULL : make_context(verify, ca_pem);
    if (ctx == NULL) {
        free(kept);
        return NULL;
    }
    next_context = (next_context + 1) % CONTEXTS_MAX;
    SSL_CTX_free(c->ctx); /* connections hold it while they use it */
    free(c->ca_pem);
    *c = (struct context){.ctx = ctx, .verify = verify, .ca_pem = kept};
    return ctx;
}

/* ---- one connection ---- */

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* "www.example.com:8443" without its port. */
static void copy_name(const char *from, char *out, size_t cap)
{
    snprintf(out, cap, "%.*s", (int)strcspn(from, ":"), from);
}

static bool set_name(SSL *ssl, const struct conf_health *h, const char *host)
{
    char name[256];
    if (*h->sni != '\0')
        snprintf(name, sizeof(name), "%s", h->sni);
    else if (*h->host != '\0' && h->host[0] != '[')
        copy_name(h->host, name, sizeof(name));
    else
        snprintf(name, sizeof(name), "%s", host);
    if (*name == '\0')
        return true;
    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

SSL *tls_new(const struct conf_health *h, const char *host, const char *alpn, int fd)
{
    SSL_CTX *ctx = context_of(h->verify, h->ca_pem);
    SSL *ssl = ctx == NULL ? NULL : SSL_new(ctx);
    if (ssl == NULL)
        return NULL;
    SSL_set_connect_state(ssl);
    bool ready = set_name(ssl, h, host) && SSL_set_fd(ssl, fd) == 1;
    if (ready && alpn != NULL) /* 0 is success here */
        ready = SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn)) == 0;
    if (ready)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

static void write_failure(SSL *ssl, int error, char *why, size_t cap)
{
    long verified = SSL_get_verify_result(ssl);
    unsigned long code = ERR_peek_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    if (verified != X509_V_OK && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(why, cap, "certificate: %s", X509_verify_cert_error_string(verified));
    else if (reason != NULL)
        snprintf(why, cap, "%s", reason);
    else if (error == SSL_ERROR_SYSCALL && errno != 0)
        snprintf(why, cap, "%s", strerror(errno));
    else
        snprintf(why, cap, "closed by the backend");
}

enum tls_step tls_handshake(SSL *ssl, char *why, size_t why_cap)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(ssl), error = SSL_get_error(ssl, rc);
    if (rc == 1)
        return TLS_DONE;
    if (error == SSL_ERROR_WANT_READ)
        return TLS_WANT_READ;
    if (error == SSL_ERROR_WANT_WRITE)
        return TLS_WANT_WRITE;
    write_failure(ssl, error, why, why_cap);
    return TLS_FAILED;
}

/* What a result below 1 means to a caller of recv or send. */
static ssize_t outcome(SSL *ssl, int rc)
{
    int error = SSL_get_error(ssl, rc);
    bool ended = error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && errno == 0) ||
                 ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (ended)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error != SSL_ERROR_SYSCALL)
        errno = EPROTO;
    return -1;
}

ssize_t tls_send(SSL *ssl, const void *data, uint32_t len)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write(ssl, data, (int)len);
    ssize_t n = rc > 0 ? rc : outcome(ssl, rc);
    if (n == 0)
        errno = EPIPE;
    return n == 0 ? -1 : n;
}

ssize_t tls_recv(SSL *ssl, void *data, uint32_t cap)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read(ssl, data, (int)cap);
    return rc > 0 ? rc : outcome(ssl, rc);
}

const char *tls_version(const SSL *ssl)
{
    return SSL_get_version(ssl);
}

bool tls_agreed(const SSL *ssl, const char *alpn)
{
    const unsigned char *chosen;
    unsigned len;
    SSL_get0_alpn_selected(ssl, &chosen, &len);
    return len == (unsigned char)alpn[0] && memcmp(chosen, alpn + 1, len) == 0;
}

void tls_free(SSL *ssl)
{
    if (SSL_is_init_finished(ssl))
        (void)SSL_shutdown(ssl); /* a polite end: servers log others */
    SSL_free(ssl);
    ERR_clear_error();
}
