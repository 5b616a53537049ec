/* worker/tls_tickets.c: session tickets (RFC 5077 4, RFC 8446 4.6.1) under the keys of the ring. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include "shm/tickets.h"
#include "worker/tls_int.h"

#define IV_BYTES 16

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: sealed. 0: no ticket. */
static int seal(struct ticket_key *k, unsigned char *name, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    if (!tickets_newest(k) || RAND_bytes(iv, IV_BYTES) != 1)
        return 0;
    memcpy(name, k->name, sizeof k->name);
    return EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) == 1 &&
           set_mac(mac, k);
}

/* 1: opened. 2: opened, and the client should get another: under the newest key, and always with
 * TLS 1.3, whose clients use each only once (RFC 8446 C.4). 0: not ours. */
static int open_ticket(SSL *ssl, struct ticket_key *k, const unsigned char *name, unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    bool newest = false;
    if (!tickets_find(name, k, &newest) || !set_mac(mac, k) ||
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) != 1)
        return 0;
    return newest && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    struct ticket_key k;
    int result =
        sealing ? seal(&k, name, iv, cipher, mac) : open_ticket(ssl, &k, name, iv, cipher, mac);
    OPENSSL_cleanse(&k, sizeof k);
    return result;
}

void tls_tickets(SSL_CTX *ctx)
{
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
