#include "worker/jwt_verify.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct algorithm {
    const char *name;
    enum jwt_family family;
    const char *digest;
    uint32_t bits; /* of the curve */
    bool pss;
};

static const struct algorithm algorithms[] = {
    {"HS256", JWT_HMAC, "SHA256", 0, false}, {"HS384", JWT_HMAC, "SHA384", 0, false},
    {"HS512", JWT_HMAC, "SHA512", 0, false}, {"RS256", JWT_RSA, "SHA256", 0, false},
    {"RS384", JWT_RSA, "SHA384", 0, false},  {"RS512", JWT_RSA, "SHA512", 0, false},
    {"PS256", JWT_RSA, "SHA256", 0, true},   {"PS384", JWT_RSA, "SHA384", 0, true},
    {"PS512", JWT_RSA, "SHA512", 0, true},   {"ES256", JWT_EC, "SHA256", 256, false},
    {"ES384", JWT_EC, "SHA384", 384, false}, {"ES512", JWT_EC, "SHA512", 521, false},
    {"EdDSA", JWT_EDDSA, NULL, 0, false},
};

struct message {
    const unsigned char *text, *signature;
    size_t text_len, signature_len;
};

static const struct algorithm *find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    return NULL;
}

static EVP_PKEY *key_of(struct gen *g, const struct conf_jwt *j, uint32_t index)
{
    if (!g->jwt_keys)
        g->jwt_keys = calloc(g->conf->jwt_key_count, sizeof(EVP_PKEY *));
    if (!g->jwt_keys)
        return NULL;
    void **place = &g->jwt_keys[j->first_key + index];
    const unsigned char *at = j->keys[index].bytes;
    if (!*place)
        *place = d2i_PUBKEY(NULL, &at, j->keys[index].len);
    return *place;
}

void jwt_keys_free(struct gen *g)
{
    for (uint32_t i = 0; g->jwt_keys && i < g->conf->jwt_key_count; i++)
        EVP_PKEY_free(g->jwt_keys[i]);
    free(g->jwt_keys);
    free(g->jwt_seen);
}

/* ---- what was right before: by its digest, each in the one place that its first bytes name ----
 */

#define SEEN         1024u
#define DIGEST_BYTES 32u

struct jwt_seen {
    unsigned char digest[SEEN][DIGEST_BYTES]; /* zeros: none */
};

/* Of the text, the signature and the key, which also says what the algorithm may be. False: no
 * memory. */
static bool digest_of(const struct message *m, uint32_t key, const struct algorithm *a,
                      unsigned char out[DIGEST_BYTES])
{
    const struct {
        uint64_t text_len, key, algorithm;
    } rest = {m->text_len, key, (uint64_t)(a - algorithms)};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool made = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(ctx, &rest, sizeof rest) == 1 &&
                EVP_DigestUpdate(ctx, m->text, m->text_len) == 1 &&
                EVP_DigestUpdate(ctx, m->signature, m->signature_len) == 1 &&
                EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return made;
}

/* Where this digest stands or would stand; NULL: no memory. */
static unsigned char *place_of(struct gen *g, const unsigned char digest[DIGEST_BYTES])
{
    if (!g->jwt_seen)
        g->jwt_seen = calloc(1, sizeof *g->jwt_seen);
    return g->jwt_seen ? g->jwt_seen->digest[((uint32_t)digest[0] << 8 | digest[1]) % SEEN] : NULL;
}

/* ---- signatures ---- */

static bool verify_hmac(const struct algorithm *a, const struct jwt_key *k, const struct message *m)
{
    unsigned char made[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return HMAC(EVP_get_digestbyname(a->digest), k->bytes, (int)k->len, m->text, m->text_len, made,
                &len) &&
           len == m->signature_len && CRYPTO_memcmp(made, m->signature, len) == 0;
}

static bool verify_public(const struct algorithm *a, EVP_PKEY *key, const struct message *m)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    bool right =
        ctx && EVP_DigestVerifyInit_ex(ctx, &options, a->digest, NULL, NULL, key, NULL) == 1;
    if (right && a->pss)
        right = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    right =
        right && EVP_DigestVerify(ctx, m->signature, m->signature_len, m->text, m->text_len) == 1;
    EVP_MD_CTX_free(ctx);
    return right;
}

/* Two numbers side by side (RFC 7518 3.4) become what OpenSSL reads. */
static bool verify_ec(const struct algorithm *a, EVP_PKEY *key, const struct message *m)
{
    size_t half = (a->bits + 7) / 8;
    unsigned char *der = NULL;
    if (m->signature_len != 2 * half)
        return false;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(m->signature, (int)half, NULL);
    BIGNUM *s = BN_bin2bn(m->signature + half, (int)half, NULL);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return false;
    }
    int len = i2d_ECDSA_SIG(pair, &der);
    struct message converted = {m->text, der, m->text_len, (size_t)(len > 0 ? len : 0)};
    bool right = len > 0 && verify_public(a, key, &converted);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return right;
}

bool jwt_verify(struct gen *g, const struct conf_jwt *j, uint32_t index, const char *alg,
                const char *text, size_t text_len, const unsigned char *signature,
                size_t signature_len)
{
    const struct jwt_key *k = &j->keys[index];
    const struct algorithm *a = find(alg);
    struct message m = {(const unsigned char *)text, signature, text_len, signature_len};
    if (!a || a->family != k->family || a->bits != k->bits)
        return false;
    if (a->family == JWT_HMAC)
        return verify_hmac(a, k, &m);
    EVP_PKEY *key = key_of(g, j, index);
    unsigned char digest[DIGEST_BYTES];
    unsigned char *seen = NULL;
    if (digest_of(&m, j->first_key + index, a, digest))
        seen = place_of(g, digest);
    if (!key || (seen && memcmp(seen, digest, sizeof digest) == 0))
        return key != NULL;
    bool right = a->family == JWT_EC ? verify_ec(a, key, &m) : verify_public(a, key, &m);
    if (right && seen)
        memcpy(seen, digest, sizeof digest);
    return right;
}
