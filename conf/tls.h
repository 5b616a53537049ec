/*
 * conf/tls.h: what a listener or a pool says about TLS, with everything it names: certificates,
 * keys and CA files are read and checked when the configuration is loaded (by the master), so that
 * a process that serves opens no file. Keys are secrets: never dumped.
 */
#ifndef BALLAST_CONF_TLS_H
#define BALLAST_CONF_TLS_H

#include "base/base.h"

struct conf_pos;

/* Bytes out of a file, as DER. */
struct conf_der {
    const unsigned char *data;
    uint32_t len;
};

/* Certificates for one name may differ in these: the client's algorithms choose. */
enum conf_key_kind { CONF_KEY_RSA, CONF_KEY_EC, CONF_KEY_ED, CONF_KEY_KINDS };

struct conf_certificate {
    const char *cert, *key, *pem, *ocsp; /* paths; "" where not said */
    struct conf_der chain;               /* DER certificates end to end, the leaf first */
    struct conf_der key_der;             /* secret */
    struct conf_der ocsp_der;            /* an OCSP response; len 0: none */
    uint64_t ocsp_until_s;               /* of the epoch: it is not stapled any more from then on */
    bool ocsp_good;                      /* it says that the certificate is */
    uint64_t begins_s, expires_s;        /* of the epoch */
    enum conf_key_kind kind;
    const char **names; /* that it is for */
    uint32_t name_count;
};

/* A name that clients may ask for, exact or "*.example.com", and who answers to it: an index of
 * certificates per kind of key, or INDEX_NONE. */
struct conf_tls_name {
    const char *name; /* lower case; NULL: a free place of the hash table */
    uint32_t certificates[CONF_KEY_KINDS];
};

enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_tls_policy { CONF_TLS_MODERN, CONF_TLS_INTERMEDIATE };
enum conf_client_verify { CONF_VERIFY_OFF, CONF_VERIFY_OPTIONAL, CONF_VERIFY_REQUIRED };

struct conf_tls {
    struct conf_certificate *certificates;
    uint32_t certificate_count;
    enum conf_tls_version min_version;
    enum conf_tls_policy policy;
    const char *ciphers;      /* as written; "": the policy's */
    const char *cipher_list;  /* TLS 1.2, as OpenSSL takes it */
    const char *ciphersuites; /* TLS 1.3 */
    const char **alpn;
    uint32_t alpn_count;
    bool alpn_h2, alpn_http1;
    bool tickets;
    uint32_t session_timeout_ms;
    const char *client_ca; /* path */
    enum conf_client_verify client_verify;
    struct conf_der client_ca_der; /* certificates end to end */
    uint64_t hsts_ms;              /* 0: no Strict-Transport-Security */
    const char *hsts;              /* the field with its CRLF; "": none */
    struct conf_tls_name *sni;     /* hash table by conf_tls_hash, open addressing */
    uint32_t sni_slots;            /* a power of two, more than it holds */
    struct conf_tls_name fallback; /* for clients that ask for no name, or an unknown one */
};

/* Towards backends. */
struct conf_pool_tls {
    bool verify;
    const char *ca;  /* path; "": the system's */
    const char *sni; /* name asked for and checked; "": the backend's own */
    const char *cert, *key;
    struct conf_der ca_der; /* what is trusted, certificates end to end; empty without verify */
    struct conf_der chain, key_der;
};

/* A private key out of the bytes kept of it (EVP_PKEY, the caller frees it); NULL: OpenSSL does not
 * take it. */
struct evp_pkey_st *conf_tls_key(struct conf_der der);
/* Where the search for a name (lower case) in a table begins. */
uint64_t conf_tls_hash(const char *name, size_t len);
/* Who answers to this name of any case (it may come from a client): exact, then wildcard, else the
 * first certificate. */
const struct conf_tls_name *conf_tls_find(const struct conf_tls *t, const char *name);

#endif
