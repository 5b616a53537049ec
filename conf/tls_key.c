/* conf/tls_key.c: private keys out of PEM files and their DER. OpenSSL 3 takes a millisecond to
 * find out who can decode one; what it found is kept, so that thousands of keys load in no time. */
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include "conf/tls_load.h"

EVP_PKEY *conf_tls_key(struct conf_der der)
{
    static OSSL_DECODER_CTX *decoder;
    static EVP_PKEY *decoded;
    const unsigned char *at = der.data;
    size_t left = der.len;
    if (!decoder)
        decoder = OSSL_DECODER_CTX_new_for_pkey(&decoded, "DER", NULL, NULL, EVP_PKEY_KEYPAIR, NULL,
                                                NULL);
    decoded = NULL;
    if (!decoder || OSSL_DECODER_from_data(decoder, &at, &left) != 1)
        return NULL;
    ERR_clear_error(); /* of those that it tried before */
    return decoded;
}

enum found { FOUND, ENCRYPTED, NONE };

/* The first private key of a PEM text; the caller frees der. */
static enum found find_key(BIO *bio, unsigned char **der, long *len)
{
    char *name, *head;
    while (PEM_read_bio(bio, &name, &head, der, len) == 1) {
        size_t n = strlen(name);
        bool is_key = n >= 11 && strcmp(name + n - 11, "PRIVATE KEY") == 0;
        bool locked = strcmp(name, "ENCRYPTED PRIVATE KEY") == 0 || strstr(head, "ENCRYPTED");
        OPENSSL_free(name);
        OPENSSL_free(head);
        if (is_key && !locked)
            return FOUND;
        OPENSSL_clear_free(*der, (size_t)*len);
        if (is_key)
            return ENCRYPTED;
    }
    return NONE;
}

static struct conf_der keep(struct walk *w, const unsigned char *der, size_t len)
{
    unsigned char *kept = arena_alloc(w->arena, len);
    memcpy(kept, der, len);
    return (struct conf_der){kept, (uint32_t)len};
}

static EVP_PKEY *take_key(const struct tls_place *p, BIO *bio, enum found *found,
                          struct conf_der *kept)
{
    unsigned char *der = NULL;
    long len = 0;
    *found = find_key(bio, &der, &len);
    if (*found != FOUND)
        return NULL;
    EVP_PKEY *key = conf_tls_key((struct conf_der){der, (uint32_t)len});
    if (key)
        *kept = keep(p->w, der, (size_t)len);
    OPENSSL_clear_free(der, (size_t)len);
    return key;
}

EVP_PKEY *tls_read_key(const struct tls_place *p, const char *setting, const char *path,
                       struct conf_der *kept)
{
    size_t len = 0;
    enum found found = NONE;
    char *text = tls_slurp(p, setting, path, &len);
    BIO *bio = text ? BIO_new_mem_buf(text, (int)len) : NULL;
    EVP_PKEY *key = bio ? take_key(p, bio, &found, kept) : NULL;
    BIO_free(bio);
    if (text)
        OPENSSL_cleanse(text, len);
    if (found == ENCRYPTED)
        tls_complain(p, setting,
                     "\"%.200s\" is encrypted: nobody could type its passphrase at a reload", path);
    else if (!key && text)
        tls_complain(p, setting, "\"%.200s\" holds no PEM private key: %s", path, tls_why());
    ERR_clear_error();
    return key;
}
