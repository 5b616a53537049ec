/* conf/tls_files.c: certificates and keys out of files, read once by the master. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "conf/named_files.h"
#include "conf/tls_load.h"

#define WARN_S (14u * 86400u)

static const struct node *child_of(const struct node *group, const char *name)
{
    for (uint32_t i = 0; group->kind == NODE_GROUP && i < group->count; i++)
        if (strcmp(group->children[i].name, name) == 0)
            return &group->children[i];
    return NULL;
}

struct conf_pos tls_pos(const struct tls_place *p, const char *setting)
{
    const struct node *n = child_of(p->group, setting);
    return n ? n->pos : p->group->pos;
}

void tls_complain(const struct tls_place *p, const char *setting, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct walk_at below = {.up = p->at, .name = setting};
    walk_error(p->w, tls_pos(p, setting), &below, "%s", text);
}

const char *tls_why(void)
{
    unsigned long code = ERR_get_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return why ? why : "no reason given";
}

char *tls_slurp(const struct tls_place *p, const char *setting, const char *path, size_t *len)
{
    char *text = named_file_read(p->w, p->w->scratch, path, TLS_FILE_MAX_BYTES, len);
    if (!text)
        tls_complain(p, setting, "cannot read \"%.200s\": %s", path,
                     errno == EFBIG    ? "too long"
                     : errno == EINVAL ? "not a regular file"
                                       : strerror(errno));
    return text;
}

struct conf_der tls_read_bytes(const struct tls_place *p, const char *setting, const char *path)
{
    size_t len = 0;
    char *text = tls_slurp(p, setting, path, &len);
    if (!text)
        return (struct conf_der){0};
    if (len == 0 || len > 65536) {
        tls_complain(p, setting, "\"%.200s\" is %s", path, len ? "too long" : "empty");
        return (struct conf_der){0};
    }
    unsigned char *kept = arena_alloc(p->w->arena, len);
    memcpy(kept, text, len);
    return (struct conf_der){kept, (uint32_t)len};
}

/* A file without a passphrase is the only one that nobody has to be asked about. */
static int no_passphrase(char *buf UNUSED, int size UNUSED, int rwflag UNUSED, void *data)
{
    *(bool *)data = true;
    return -1;
}

STACK_OF(X509) * tls_read_chain(const struct tls_place *p, const char *setting, const char *path)
{
    size_t len = 0;
    char *text = tls_slurp(p, setting, path, &len);
    BIO *bio = text ? BIO_new_mem_buf(text, (int)len) : NULL;
    STACK_OF(X509) *chain = bio ? sk_X509_new_null() : NULL;
    bool asked = false;
    for (X509 *x; chain && (x = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, &asked));)
        sk_X509_push(chain, x);
    BIO_free(bio);
    if (text)
        OPENSSL_cleanse(text, len); /* it may hold the key as well */
    unsigned long last = ERR_peek_last_error();
    bool clean = !last || ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    if (chain && sk_X509_num(chain) > 0 && clean) {
        ERR_clear_error();
        return chain;
    }
    if (text)
        tls_complain(p, setting, "\"%.200s\" %s: %s", path,
                     clean ? "holds no PEM certificate" : "is damaged", tls_why());
    sk_X509_pop_free(chain, X509_free);
    return NULL;
}

/* ---- what is kept ---- */

struct conf_der tls_keep_chain(struct walk *w, STACK_OF(X509) * chain)
{
    size_t total = 0;
    for (int i = 0; i < sk_X509_num(chain); i++)
        total += (size_t)i2d_X509(sk_X509_value(chain, i), NULL);
    unsigned char *kept = arena_alloc(w->arena, total), *at = kept;
    for (int i = 0; i < sk_X509_num(chain); i++)
        (void)i2d_X509(sk_X509_value(chain, i), &at);
    return (struct conf_der){kept, (uint32_t)total};
}

/* ---- checks ---- */

void tls_warn_of_times(const struct tls_place *p, const char *setting, const char *path,
                       uint64_t begins_s, uint64_t expires_s)
{
    uint64_t now_s = clock_wall_ms() / 1000;
    struct conf_pos pos = tls_pos(p, setting);
    /* No reason not to start, or not to reload: other names, and clients that pass over it, go on.
     */
    if (expires_s <= now_s)
        log_warning("%s:%u: the certificate %s has expired: clients will refuse it", pos.file,
                    pos.line, path);
    else if (expires_s < now_s + WARN_S)
        log_warning("%s:%u: the certificate %s expires in %llu days", pos.file, pos.line, path,
                    (unsigned long long)((expires_s - now_s) / 86400));
    if (begins_s > now_s)
        log_warning("%s:%u: the certificate %s is not valid yet", pos.file, pos.line, path);
}

uint64_t tls_seconds(const ASN1_TIME *t)
{
    struct tm tm;
    time_t at = ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
    return at > 0 ? (uint64_t)at : 0;
}

/* With the levels of this OpenSSL: keys that it finds too short are found out here, not by workers.
 */
static bool usable(STACK_OF(X509) * chain, EVP_PKEY *key)
{
    static SSL_CTX *ctx; /* only ever asked */
    if (!ctx && !(ctx = SSL_CTX_new(TLS_server_method())))
        return false;
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    return SSL_CTX_use_cert_and_key(ctx, sk_X509_value(chain, 0), key, chain, 1) == 1;
}

bool tls_check_pair(const struct tls_place *p, const char *setting, const char *path,
                    STACK_OF(X509) * chain, EVP_PKEY *key)
{
    X509 *leaf = sk_X509_value(chain, 0);
    bool good = false;
    if (X509_check_private_key(leaf, key) != 1)
        tls_complain(p, setting, "the key does not belong to the certificate \"%.200s\"", path);
    else if (!usable(chain, key))
        tls_complain(p, setting, "\"%.200s\" cannot be used: %s", path, tls_why());
    else
        good = true;
    ERR_clear_error();
    if (good)
        tls_warn_of_times(p, setting, path, tls_seconds(X509_get0_notBefore(leaf)),
                          tls_seconds(X509_get0_notAfter(leaf)));
    return good;
}

/* ---- names ---- */

static void add_common_name(X509 *leaf, void (*each)(void *data, const char *name), void *data)
{
    char name[256];
    int len =
        X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, name, sizeof name);
    if (len > 0 && (size_t)len < sizeof name && strlen(name) == (size_t)len && each)
        each(data, name);
}

uint32_t tls_names(X509 *leaf, void (*each)(void *data, const char *name), void *data)
{
    uint32_t count = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
        if (n->type != GEN_DNS)
            continue;
        const char *text = (const char *)ASN1_STRING_get0_data(n->d.dNSName);
        if (strlen(text) != (size_t)ASN1_STRING_length(n->d.dNSName))
            continue;
        count++;
        if (each)
            each(data, text);
    }
    GENERAL_NAMES_free(names);
    if (count == 0) {
        add_common_name(leaf, each, data);
        count = 1;
    }
    return count;
}
