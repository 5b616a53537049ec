/* conf/tls_pool.c: the `tls` of a pool. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "conf/tls_load.h"

/* Where systems keep the authorities that they trust, as one file. */
static const char *find_system_ca(void)
{
    static const char *const usual[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *said = getenv(X509_get_default_cert_file_env());
    if (said && *said)
        return said;
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (access(usual[i], R_OK) == 0)
            return usual[i];
    return NULL;
}

static struct conf_der read_ca(const struct tls_place *p, const char *ca, const char *path)
{
    struct conf_der kept = {0};
    if (tls_carry_ca(p->w, ca, path, &kept))
        return kept;
    STACK_OF(X509) *chain = tls_read_chain(p, "ca", path);
    if (chain)
        kept = tls_keep_chain(p->w, chain);
    sk_X509_pop_free(chain, X509_free);
    return kept;
}

static void load_ca(const struct tls_place *p, struct conf_pool_tls *t)
{
    if (*t->ca) {
        t->ca_der = read_ca(p, t->ca, t->ca);
        return;
    }
    if (!p->w->system_ca.len) {
        const char *path = find_system_ca();
        if (path)
            p->w->system_ca = read_ca(p, "", path);
        else
            tls_complain(p, "ca", "the system has no list of trusted authorities: say which");
    }
    t->ca_der = p->w->system_ca;
}

static void load_client_pair(const struct tls_place *p, struct conf_pool_tls *t)
{
    if (!*t->cert) {
        if (*t->key)
            tls_complain(p, "key", "means nothing without \"cert\"");
        return;
    }
    struct conf_der der = {0};
    STACK_OF(X509) *chain = tls_read_chain(p, "cert", t->cert);
    const char *setting = *t->key ? "key" : "cert";
    EVP_PKEY *key = chain ? tls_read_key(p, setting, *t->key ? t->key : t->cert, &der) : NULL;
    if (key && tls_check_pair(p, "cert", t->cert, chain, key)) {
        t->chain = tls_keep_chain(p->w, chain);
        t->key_der = der;
    }
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
}

void object_read_pool_tls(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                          const struct walk_at *at, void *field)
{
    struct tls_place p = {w, n, at};
    struct conf_pool_tls *t = ARENA_NEW(w->arena, struct conf_pool_tls);
    walk_fill_defaults(w, &conf_section_pool_tls, t);
    walk_group(w, n, at, &(struct walk_target){&conf_section_pool_tls, (char *)t}, 1);
    if (n->kind != NODE_GROUP)
        return;
    if (t->verify)
        load_ca(&p, t);
    else if (*t->ca)
        tls_complain(&p, "ca", "means nothing with verify = false");
    load_client_pair(&p, t);
    struct conf_pool_tls **out = field;
    *out = t;
}
