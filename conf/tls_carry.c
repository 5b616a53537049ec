/* conf/tls_carry.c: certificates whose files are what they were: parsed and checked once is
 * enough. OpenSSL takes some 0.4 ms for each, and the master that reloads has other things to do.
 */
#include <string.h>
#include "base/clock.h"
#include "conf/named_files.h"
#include "conf/tls_load.h"

static const char *main_path(const struct conf_certificate *c)
{
    return *c->pem ? c->pem : c->cert;
}

static void index_former(struct walk *w)
{
    catalog_init(&w->former_certificates, w->scratch);
    for (uint32_t i = 0; i < w->former->listener_count; i++) {
        const struct conf_tls *t = w->former->listeners[i].tls;
        for (uint32_t c = 0; t && c < t->certificate_count; c++)
            catalog_add(&w->former_certificates, main_path(&t->certificates[c]),
                        &t->certificates[c]);
    }
}

/* The one with these files. */
static const struct conf_certificate *find_former(struct walk *w, const struct conf_certificate *c)
{
    if (w->former && !w->former_certificates.names.arena)
        index_former(w);
    const struct conf_certificate *was =
        w->former ? catalog_find(&w->former_certificates, main_path(c)) : NULL;
    bool same = was && strcmp(was->cert, c->cert) == 0 && strcmp(was->key, c->key) == 0 &&
                strcmp(was->pem, c->pem) == 0;
    return same ? was : NULL;
}

static bool same_files(struct walk *w, const struct conf_certificate *c)
{
    if (*c->pem)
        return named_file_unchanged(w, c->pem, TLS_FILE_MAX_BYTES);
    return named_file_unchanged(w, c->cert, TLS_FILE_MAX_BYTES) &&
           named_file_unchanged(w, c->key, TLS_FILE_MAX_BYTES);
}

/* The former generation ends before this one does. */
static struct conf_der copy(struct walk *w, struct conf_der der)
{
    unsigned char *kept = arena_alloc(w->arena, der.len);
    memcpy(kept, der.data, der.len);
    return (struct conf_der){kept, der.len};
}

static void copy_names(struct walk *w, const struct conf_certificate *was,
                       struct conf_certificate *c)
{
    c->names = ARENA_ARRAY(w->arena, const char *, was->name_count);
    for (uint32_t i = 0; i < was->name_count; i++)
        c->names[i] = arena_strdup(w->arena, was->names[i]);
    c->name_count = was->name_count;
}

bool tls_carry_pair(struct walk *w, struct conf_certificate *c)
{
    const struct conf_certificate *was = find_former(w, c);
    if (!was || was->expires_s <= clock_wall_ms() / 1000 || !same_files(w, c))
        return false;
    c->chain = copy(w, was->chain);
    c->key_der = copy(w, was->key_der);
    c->kind = was->kind;
    c->begins_s = was->begins_s;
    c->expires_s = was->expires_s;
    copy_names(w, was, c);
    return true;
}

/* One that is about another certificate, or old, is read again: there is something to say. */
bool tls_carry_ocsp(struct walk *w, struct conf_certificate *c)
{
    const struct conf_certificate *was = find_former(w, c);
    if (!was || strcmp(was->ocsp, c->ocsp) != 0 || !was->ocsp_good ||
        was->ocsp_until_s <= clock_wall_ms() / 1000 || was->chain.len != c->chain.len ||
        memcmp(was->chain.data, c->chain.data, c->chain.len) != 0 ||
        !named_file_unchanged(w, c->ocsp, TLS_FILE_MAX_BYTES))
        return false;
    c->ocsp_der = copy(w, was->ocsp_der);
    c->ocsp_until_s = was->ocsp_until_s;
    c->ocsp_good = true;
    return true;
}

static const struct conf_pool_tls *find_ca(const struct conf *former, const char *ca)
{
    for (uint32_t i = 0; former && i < former->pool_count; i++) {
        const struct conf_pool_tls *t = former->pools[i].tls;
        if (t && t->verify && strcmp(t->ca, ca) == 0)
            return t;
    }
    return NULL;
}

bool tls_carry_ca(struct walk *w, const char *ca, const char *path, struct conf_der *out)
{
    const struct conf_pool_tls *was = find_ca(w->former, ca);
    if (!was || !named_file_unchanged(w, path, TLS_FILE_MAX_BYTES))
        return false;
    *out = copy(w, was->ca_der);
    return true;
}
