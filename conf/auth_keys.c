/* Keys of tokens: JSON Web Key Sets (RFC 7517, RFC 7518 6, RFC 8037) and secrets. */
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include "base/base64url.h"
#include "conf/auth.h"

#define KEYS_MAX   256u
#define PART_BYTES 2048u /* of a key's numbers */

/* ---- numbers ---- */

/* A member of a key, decoded; its length, or 0. */
static size_t get_bytes(const json_t *key, const char *name, unsigned char out[PART_BYTES])
{
    const char *text = json_string_value(json_object_get(key, name));
    size_t len = text ? strlen(text) : 0;
    return len ? base64url_decode(text, len, out, PART_BYTES) : 0;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
    unsigned char n[PART_BYTES], e[PART_BYTES];
    size_t n_len = get_bytes(jwk, "n", n), e_len = get_bytes(jwk, "e", e);
    if (n_len < 256 || e_len == 0) /* at least 2048 bits: RFC 7518 3.3 */
        return NULL;
    BIGNUM *modulus = BN_bin2bn(n, (int)n_len, NULL), *exponent = BN_bin2bn(e, (int)e_len, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (modulus && exponent && build &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = from_params("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *ec_key(const json_t *jwk, uint32_t *bits)
{
    static const struct {
        const char *crv, *group;
        uint32_t bits, bytes;
    } curves[] = {
        {"P-256", "P-256", 256, 32}, {"P-384", "P-384", 384, 48}, {"P-521", "P-521", 521, 66}};
    const char *crv = json_string_value(json_object_get(jwk, "crv"));
    unsigned char point[1 + 2 * PART_BYTES] = {4}, *at = point + 1;
    EVP_PKEY *key = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(curves) && crv; i++) {
        uint32_t n = curves[i].bytes;
        if (strcmp(crv, curves[i].crv) != 0 || get_bytes(jwk, "x", at) != n ||
            get_bytes(jwk, "y", at + n) != n)
            continue;
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        *bits = curves[i].bits;
        if (build &&
            OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group,
                                            0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * n) == 1)
            key = from_params("EC", build);
        OSSL_PARAM_BLD_free(build);
    }
    return key;
}

static EVP_PKEY *okp_key(const json_t *jwk)
{
    const char *crv = json_string_value(json_object_get(jwk, "crv"));
    unsigned char x[PART_BYTES];
    if (!crv || strcmp(crv, "Ed25519") != 0 || get_bytes(jwk, "x", x) != 32)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, 32);
}

/* ---- keys ---- */

static bool keep_public(struct arena *arena, struct jwt_key *k, EVP_PKEY *key)
{
    int len = key ? i2d_PUBKEY(key, NULL) : 0;
    if (len > 0) {
        unsigned char *bytes = ARENA_ARRAY(arena, unsigned char, (size_t)len), *at = bytes;
        k->len = (uint32_t)i2d_PUBKEY(key, &at);
        k->bytes = bytes;
    }
    EVP_PKEY_free(key);
    return len > 0;
}

static bool keep_secret(struct arena *arena, struct jwt_key *k, const void *bytes, size_t len)
{
    unsigned char *copy = arena_alloc(arena, len);
    memcpy(copy, bytes, len);
    k->family = JWT_HMAC;
    k->bytes = copy;
    k->len = (uint32_t)len;
    return len > 0;
}

static const char *keep_text(struct arena *arena, const json_t *jwk, const char *name)
{
    const char *text = json_string_value(json_object_get(jwk, name));
    return text ? arena_strdup(arena, text) : NULL;
}

static bool read_key(struct arena *arena, const json_t *jwk, struct jwt_key *k)
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    unsigned char secret[PART_BYTES] = {0};
    k->kid = keep_text(arena, jwk, "kid");
    k->alg = keep_text(arena, jwk, "alg");
    if (kty && strcmp(kty, "oct") == 0)
        return keep_secret(arena, k, secret, get_bytes(jwk, "k", secret));
    if (kty && strcmp(kty, "RSA") == 0) {
        k->family = JWT_RSA;
        return keep_public(arena, k, rsa_key(jwk));
    }
    if (kty && strcmp(kty, "EC") == 0) {
        k->family = JWT_EC;
        return keep_public(arena, k, ec_key(jwk, &k->bits));
    }
    k->family = JWT_EDDSA;
    return kty && strcmp(kty, "OKP") == 0 && keep_public(arena, k, okp_key(jwk));
}

static bool is_for_signatures(const json_t *jwk)
{
    const char *use = json_string_value(json_object_get(jwk, "use"));
    return !use || strcmp(use, "sig") == 0;
}

static struct jwt_key *add_key(struct conf_jwt *j, struct arena *arena)
{
    struct jwt_key *keys = ARENA_ARRAY(arena, struct jwt_key, j->key_count + 1);
    if (j->key_count)
        memcpy(keys, j->keys, j->key_count * sizeof *keys);
    j->keys = keys;
    return &keys[j->key_count++];
}

static int read_keys(struct conf_jwt *j, struct arena *arena, const json_t *keys, char *why,
                     size_t why_cap)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *jwk = json_array_get(keys, i);
        if (!is_for_signatures(jwk) || read_key(arena, jwk, add_key(j, arena)))
            continue;
        snprintf(
            why, why_cap,
            "key %zu is not a complete key of a kind that is known: RSA (2048 bits or more), EC "
            "(P-256, P-384, P-521), OKP (Ed25519), oct",
            i);
        return -1;
    }
    return 0;
}

int jwt_read_set(struct conf_jwt *j, struct arena *arena, const char *text, size_t len, char *why,
                 size_t why_cap)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    const json_t *keys = json_object_get(root, "keys");
    int r = -1;
    if (!root)
        snprintf(why, why_cap, "line %d: %s", error.line, error.text);
    else if (json_array_size(keys) == 0 || json_array_size(keys) > KEYS_MAX)
        snprintf(why, why_cap, "has no \"keys\", or more than %u", KEYS_MAX);
    else
        r = read_keys(j, arena, keys, why, why_cap);
    json_decref(root);
    return r;
}

void jwt_add_secret(struct conf_jwt *j, struct arena *arena, const char *bytes, size_t len)
{
    (void)keep_secret(arena, add_key(j, arena), bytes, len);
}
