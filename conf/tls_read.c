/* conf/tls_read.c: the `tls` of a listener. */
#include <openssl/err.h>
#include <string.h>
#include "conf/suggest.h"
#include "conf/tls_load.h"

#define CERTIFICATES_MAX 16384u
#define ALPN_MAX         8u
#define CIPHERS_INTERMEDIATE                                                                       \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* ---- certificates ---- */

static enum conf_key_kind kind_of(const EVP_PKEY *key)
{
    int id = EVP_PKEY_get_base_id(key);
    if (id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS)
        return CONF_KEY_RSA;
    return id == EVP_PKEY_EC ? CONF_KEY_EC : CONF_KEY_ED;
}

/* Which files, and are they all there? */
static bool choose_files(const struct tls_place *p, const struct conf_certificate *c,
                         const char **cert, const char **key)
{
    *cert = *c->pem ? "pem" : "cert";
    *key = *c->pem ? "pem" : "key";
    if (*c->pem && (*c->cert || *c->key))
        tls_complain(p, "pem", "holds certificate and key: \"cert\" and \"key\" are not said too");
    else if (!*c->pem && !*c->cert)
        tls_complain(p, "cert", "is missing: \"cert\" and \"key\", or \"pem\"");
    else if (!*c->pem && !*c->key)
        tls_complain(p, "key", "is missing");
    else
        return true;
    return false;
}

struct naming {
    struct walk *w;
    struct conf_certificate *c;
};

static void add_name(void *data, const char *name)
{
    const struct naming *n = data;
    n->c->names[n->c->name_count++] = arena_strdup(n->w->arena, name);
}

/* Now, while it is parsed: that is what takes its time with thousands of them. */
static void keep_names(struct walk *w, struct conf_certificate *c, X509 *leaf)
{
    struct naming n = {w, c};
    c->names = ARENA_ARRAY(w->arena, const char *, tls_names(leaf, NULL, NULL));
    (void)tls_names(leaf, add_name, &n);
}

static void load_pair(const struct tls_place *p, struct conf_certificate *c, const char *cert,
                      const char *key)
{
    const char *cert_path = *c->pem ? c->pem : c->cert, *key_path = *c->pem ? c->pem : c->key;
    struct conf_der der = {0};
    STACK_OF(X509) *chain = tls_read_chain(p, cert, cert_path);
    EVP_PKEY *pkey = chain ? tls_read_key(p, key, key_path, &der) : NULL;
    if (pkey && tls_check_pair(p, cert, cert_path, chain, pkey)) {
        c->chain = tls_keep_chain(p->w, chain);
        c->key_der = der;
        c->kind = kind_of(pkey);
        keep_names(p->w, c, sk_X509_value(chain, 0));
        c->begins_s = tls_seconds(X509_get0_notBefore(sk_X509_value(chain, 0)));
        c->expires_s = tls_seconds(X509_get0_notAfter(sk_X509_value(chain, 0)));
    }
    EVP_PKEY_free(pkey);
    sk_X509_pop_free(chain, X509_free);
}

static bool within_memory(const struct tls_place *p, const struct conf_certificate *c)
{
    size_t bytes = c->chain.len + c->key_der.len + c->ocsp_der.len;
    if (bytes <= p->w->tls_left_bytes) {
        p->w->tls_left_bytes -= bytes;
        return true;
    }
    walk_error(p->w, p->group->pos, p->at, "the certificates of all listeners are too long");
    return false;
}

static void read_certificate(struct walk *w, const struct node *n, const struct walk_at *at,
                             struct conf_certificate *c)
{
    struct tls_place p = {w, n, at};
    const char *cert, *key;
    walk_fill_defaults(w, &conf_section_certificate, c);
    walk_group(w, n, at, &(struct walk_target){&conf_section_certificate, (char *)c}, 1);
    if (n->kind != NODE_GROUP || !choose_files(&p, c, &cert, &key))
        return;
    if (tls_carry_pair(w, c))
        tls_warn_of_times(&p, cert, *c->pem ? c->pem : c->cert, c->begins_s, c->expires_s);
    else
        load_pair(&p, c, cert, key);
    if (*c->ocsp && !tls_carry_ocsp(w, c))
        tls_load_ocsp(&p, c);
    if (!within_memory(&p, c))
        c->chain.len = 0;
}

void object_read_certificates(struct walk *w, const struct conf_row *row UNUSED,
                              const struct node *n, const struct walk_at *at, void *field)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (n->kind != NODE_LIST && n->kind != NODE_GROUP) {
        walk_error_kind(w, n, at, "a list ( ) of groups");
        return;
    }
    if (count == 0 || count > CERTIFICATES_MAX) {
        if (count)
            walk_error(w, n->pos, at, "holds %u, and %u is the most", count, CERTIFICATES_MAX);
        else
            walk_error(w, n->pos, at, "is empty");
        return;
    }
    struct conf_certificate *c = ARENA_ARRAY(w->arena, struct conf_certificate, count);
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        read_certificate(w, &first[i], first == n ? at : &element, &c[i]);
    }
    list->items = c;
    list->count = count;
}

/* ---- names ---- */

/* The first certificate, and those with its names and another kind of key. */
static void fill_fallback(struct conf_tls *t)
{
    enum conf_key_kind kind = t->certificates[0].kind;
    t->fallback.certificates[kind] = 0;
    for (uint32_t i = 0; i < t->sni_slots; i++) {
        const struct conf_tls_name *s = &t->sni[i];
        if (!s->name || s->certificates[kind] != 0)
            continue;
        for (uint32_t k = 0; k < CONF_KEY_KINDS; k++)
            if (t->fallback.certificates[k] == UINT32_MAX)
                t->fallback.certificates[k] = s->certificates[k];
    }
}

static void index_names(struct walk *w, struct conf_tls *t)
{
    uint32_t names = 0;
    for (uint32_t i = 0; i < t->certificate_count; i++)
        names += t->certificates[i].name_count;
    tls_sni_begin(t, w->arena, names);
    for (uint32_t i = 0; i < t->certificate_count; i++)
        for (uint32_t n = 0; n < t->certificates[i].name_count; n++)
            tls_sni_add(t, w->arena, t->certificates[i].names[n], i);
    fill_fallback(t);
}

/* ---- ciphers ---- */

/* Those of TLS 1.3 have a list of their own. */
static void split_ciphers(struct walk *w, struct conf_tls *t)
{
    const char *list = "", *suites = "";
    for (const char *at = t->ciphers; *at;) {
        size_t len = strcspn(at, ":, ");
        if (len && strncmp(at, "TLS_", 4) == 0)
            suites = arena_printf(w->arena, "%s%s%.*s", suites, *suites ? ":" : "", (int)len, at);
        else if (len)
            list = arena_printf(w->arena, "%s%s%.*s", list, *list ? ":" : "", (int)len, at);
        at += len;
        at += strspn(at, ":, ");
    }
    t->cipher_list = *list ? list : arena_strdup(w->arena, CIPHERS_INTERMEDIATE);
    t->ciphersuites = *suites ? suites : arena_strdup(w->arena, SUITES);
}

static void check_ciphers(const struct tls_place *p, const struct conf_tls *t)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return;
    if (SSL_CTX_set_cipher_list(ctx, t->cipher_list) != 1)
        tls_complain(p, "ciphers", "OpenSSL knows none of \"%.200s\"", t->cipher_list);
    else if (SSL_CTX_set_ciphersuites(ctx, t->ciphersuites) != 1)
        tls_complain(p, "ciphers", "OpenSSL does not know all of \"%.200s\"", t->ciphersuites);
    ERR_clear_error();
    SSL_CTX_free(ctx);
}

/* ---- the whole ---- */

static void settle_version(const struct tls_place *p, struct conf_tls *t)
{
    bool modern = t->policy == CONF_TLS_MODERN;
    if ((unsigned)t->min_version == UINT32_MAX)
        t->min_version = modern ? CONF_TLS_1_3 : CONF_TLS_1_2;
    else if (modern && t->min_version != CONF_TLS_1_3)
        tls_complain(p, "min_version", "policy = \"modern\" is TLS 1.3 only");
}

static void load_client_ca(const struct tls_place *p, struct conf_tls *t)
{
    if (t->client_verify != CONF_VERIFY_OFF && !*t->client_ca)
        tls_complain(p, "client_verify", "needs \"client_ca\"");
    else if (t->client_verify == CONF_VERIFY_OFF && *t->client_ca)
        tls_complain(p, "client_ca",
                     "means nothing while \"client_verify\" is \"off\": say \"optional\" or "
                     "\"required\"");
    if (!*t->client_ca)
        return;
    STACK_OF(X509) *chain = tls_read_chain(p, "client_ca", t->client_ca);
    if (chain)
        t->client_ca_der = tls_keep_chain(p->w, chain);
    sk_X509_pop_free(chain, X509_free);
}

static void settle_alpn(struct walk *w, struct conf_tls *t)
{
    static const char *const both[] = {"h2", "http/1.1"};
    if (!t->alpn && (w->kind & CONF_KIND_HTTP)) {
        t->alpn_count = ARRAY_LEN(both);
        t->alpn = ARENA_ARRAY(w->arena, const char *, t->alpn_count);
        for (uint32_t i = 0; i < t->alpn_count; i++)
            t->alpn[i] = arena_strdup(w->arena, both[i]);
    }
    for (uint32_t i = 0; t->alpn && i < t->alpn_count; i++) {
        t->alpn_h2 |= strcmp(t->alpn[i], "h2") == 0;
        t->alpn_http1 |= strcmp(t->alpn[i], "http/1.1") == 0;
    }
}

void object_read_tls(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                     const struct walk_at *at, void *field)
{
    struct tls_place p = {w, n, at};
    struct conf_tls *t = ARENA_NEW(w->arena, struct conf_tls);
    walk_fill_defaults(w, &conf_section_tls, t);
    walk_group(w, n, at, &(struct walk_target){&conf_section_tls, (char *)t}, 1);
    if (n->kind != NODE_GROUP)
        return;
    settle_version(&p, t);
    split_ciphers(w, t);
    check_ciphers(&p, t);
    load_client_ca(&p, t);
    settle_alpn(w, t);
    if (t->hsts_ms)
        t->hsts = arena_printf(w->arena, "Strict-Transport-Security: max-age=%llu\r\n",
                               (unsigned long long)(t->hsts_ms / 1000));
    else
        t->hsts = arena_strdup(w->arena, "");
    if (t->certificate_count)
        index_names(w, t);
    struct conf_tls **out = field;
    *out = t;
}

/* ---- alpn ---- */

void value_read_alpn(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                     const struct walk_at *at, void *field)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    const char **names = ARENA_ARRAY(w->arena, const char *, ALPN_MAX);
    list->count = 0;
    list->items = names;
    if (count == 0)
        walk_error(w, n->pos, at, "is empty");
    for (uint32_t i = 0; i < count && list->count < ALPN_MAX; i++) {
        struct walk_at element = {.up = at, .index = i};
        const struct walk_at *here = first == n ? at : &element;
        bool text = first[i].kind == NODE_STRING;
        if (text && (strcmp(first[i].text, "h2") == 0 || strcmp(first[i].text, "http/1.1") == 0))
            names[list->count++] = arena_strdup(w->arena, first[i].text);
        else if (text)
            walk_error(w, first[i].pos, here, "\"%.60s\" is not one of: h2, http/1.1",
                       first[i].text);
        else
            walk_error_kind(w, &first[i], here, "\"h2\" or \"http/1.1\"");
    }
}
