/* worker/checker.h: the hashes. */
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include "worker/checker.h"

#define MD5_BYTES 16u

static bool same(const char *a, const char *b)
{
    size_t len = strlen(a);
    return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

static bool verify_sha1(const char *hash, const char *password)
{
    unsigned char sum[EVP_MAX_MD_SIZE], text[32];
    unsigned len = 0;
    if (EVP_Digest(password, strlen(password), sum, &len, EVP_sha1(), NULL) != 1)
        return false;
    EVP_EncodeBlock(text, sum, (int)len);
    return same((const char *)text, hash + 5);
}

static bool verify_crypt(const char *hash, const char *password)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    const char *made = data ? crypt_rn(password, hash, data, sizeof *data) : NULL;
    bool right = made && same(made, hash);
    if (data)
        OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return right;
}

/* ---- apr1: MD5 a thousand times over (Apache's variant of FreeBSD's MD5-crypt) ---- */

struct piece {
    const void *at;
    size_t len;
};

static void md5(const struct piece *pieces, unsigned count, unsigned char out[MD5_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    memset(out, 0, MD5_BYTES);
    if (!ctx || EVP_DigestInit_ex(ctx, EVP_md5(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        EVP_DigestUpdate(ctx, pieces[i].at, pieces[i].len);
    EVP_DigestFinal_ex(ctx, out, NULL);
    EVP_MD_CTX_free(ctx);
}

static void first_sum(struct piece password, struct piece salt, unsigned char sum[MD5_BYTES])
{
    struct piece pieces[128 + 40] = {password, {"$apr1$", 6}, salt};
    unsigned char inner[MD5_BYTES];
    unsigned n = 3;
    md5((struct piece[]){password, salt, password}, 3, inner);
    for (size_t left = password.len; left > 0 && n < 128;) {
        size_t part = left < MD5_BYTES ? left : MD5_BYTES;
        pieces[n++] = (struct piece){inner, part};
        left -= part;
    }
    for (size_t bits = password.len; bits; bits >>= 1)
        pieces[n++] = bits & 1 ? (struct piece){"\0", 1} : (struct piece){password.at, 1};
    md5(pieces, n, sum);
}

static void stretch(struct piece password, struct piece salt, unsigned char sum[MD5_BYTES])
{
    for (unsigned i = 0; i < 1000; i++) {
        unsigned char before[MD5_BYTES];
        memcpy(before, sum, MD5_BYTES);
        struct piece last = {before, MD5_BYTES}, pieces[4];
        unsigned n = 0;
        pieces[n++] = i & 1 ? password : last;
        if (i % 3)
            pieces[n++] = salt;
        if (i % 7)
            pieces[n++] = password;
        pieces[n++] = i & 1 ? last : password;
        md5(pieces, n, sum);
    }
}

static void spell(const unsigned char sum[MD5_BYTES], char out[23])
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const uint8_t order[] = {0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5};
    unsigned n = 0;
    for (unsigned i = 0; i < 5; i++) {
        const uint8_t *o = order + 3 * (size_t)i;
        uint32_t v = (uint32_t)sum[o[0]] << 16 | (uint32_t)sum[o[1]] << 8 | sum[o[2]];
        for (unsigned k = 0; k < 4; k++, v >>= 6)
            out[n++] = digits[v & 63];
    }
    out[n++] = digits[sum[11] & 63];
    out[n++] = digits[sum[11] >> 6];
    out[n] = '\0';
}

static bool verify_apr1(const char *hash, const char *password)
{
    unsigned char sum[MD5_BYTES];
    char made[23];
    struct piece salt = {hash + 6, strcspn(hash + 6, "$")}, word = {password, strlen(password)};
    if (salt.len > 8)
        salt.len = 8;
    const char *wanted = strchr(hash + 6, '$');
    if (!wanted || word.len > 1024)
        return false;
    first_sum(word, salt, sum);
    stretch(word, salt, sum);
    spell(sum, made);
    return same(made, wanted + 1);
}

bool checker_verify(enum auth_scheme scheme, const char *hash, const char *password)
{
    switch (scheme) {
    case AUTH_SHA1: return verify_sha1(hash, password);
    case AUTH_APR1: return verify_apr1(hash, password);
    case AUTH_CRYPT: return verify_crypt(hash, password);
    }
    return false;
}
