/* worker/tls_identity.c: who a client with a certificate is, as fields for backends. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "worker/tls.h"

#define NAME_BYTES 480 /* of a subject or issuer; a longer one is left out */

/* RFC 2253, with everything escaped that could end a line. */
static void name_text(const X509_NAME *name, char out[NAME_BYTES])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_get_mem_data(bio, &text);
    if (len < 0 || len >= NAME_BYTES)
        len = 0;
    if (len)
        memcpy(out, text, (size_t)len);
    out[len] = '\0';
    BIO_free(bio);
}

static void hex(const unsigned char *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static void serial_text(const X509 *x, char *out, size_t cap)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *text = n ? BN_bn2hex(n) : NULL;
    snprintf(out, cap, "%s", text ? text : "");
    OPENSSL_free(text);
    BN_free(n);
}

static char *describe(const X509 *x)
{
    char subject[NAME_BYTES], issuer[NAME_BYTES], serial[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    char print[2 * EVP_MAX_MD_SIZE + 1], *text = NULL;
    unsigned len = 0;
    name_text(X509_get_subject_name(x), subject);
    name_text(X509_get_issuer_name(x), issuer);
    serial_text(x, serial, sizeof serial);
    if (X509_digest(x, EVP_sha256(), digest, &len) != 1)
        len = 0;
    hex(digest, len, print);
    if (asprintf(&text,
                 "X-Client-Cert-Verify: SUCCESS\r\nX-Client-Cert-Subject: %s\r\n"
                 "X-Client-Cert-Issuer: %s\r\nX-Client-Cert-Serial: %s\r\nX-Client-Cert-SHA256: "
                 "%s\r\n",
                 subject, issuer, serial, print) == -1)
        return NULL;
    return text;
}

char *tls_identity(SSL *ssl, const struct conf_tls *conf)
{
    if (conf->client_verify == CONF_VERIFY_OFF)
        return NULL;
    const X509 *x = SSL_get0_peer_certificate(ssl);
    char *text = x && SSL_get_verify_result(ssl) == X509_V_OK
                     ? describe(x)
                     : strdup("X-Client-Cert-Verify: NONE\r\n");
    ERR_clear_error();
    return text;
}
