/* A reload parses and checks certificates again only where their files have changed. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include "conf/named_files.h"
#include "conf/tls.h"
#include "tests/unit/conf/conf_fixture.h"

#define MARK 4711u /* a time that no certificate says: who has it was copied */

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    CHECK(key != NULL);
    return key;
}

static X509 *make_certificate(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    CHECK(x && X509_set_version(x, X509_VERSION_3) && X509_set_pubkey(x, key));
    X509_NAME *subject = X509_get_subject_name(x);
    CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0));
    CHECK(X509_set_issuer_name(x, subject));
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x), 1));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(x), -3600));
    CHECK(X509_gmtime_adj(X509_getm_notAfter(x), 90L * 86400));
    CHECK(X509_sign(x, key, EVP_sha256()));
    return x;
}

static void write_pem(const char *path, X509 *x, EVP_PKEY *key)
{
    FILE *out = fopen(path, "w");
    CHECK(out != NULL);
    CHECK(!x || PEM_write_X509(out, x));
    CHECK(!key || PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
    CHECK_EQ(fclose(out), 0);
}

static void write_pair(const char *cert, const char *key_path, const char *name)
{
    EVP_PKEY *key = make_key();
    X509 *x = make_certificate(key, name);
    write_pem(cert, x, NULL);
    write_pem(key_path, NULL, key);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void write_files(void)
{
    enter_dir();
    write_pair("a.crt", "a.key", "a.test");
    write_pair("b.crt", "b.key", "b.test");
    write_file("b.conf",
               "listeners = { web = { bind = \"*:443\", pool = \"app\", tls = { certificates = (\n"
               "  { cert = \"a.crt\", key = \"a.key\" }, { cert = \"b.crt\", key = \"b.key\" } ) "
               "} } }\npools = { app = { backends = [ \"127.0.0.1:1\" ] } }");
}

static struct conf_certificate *certificate(const struct conf *c, uint32_t i)
{
    return &c->listeners[0].tls->certificates[i];
}

/* The first load; its certificates are marked, its files as if they had been there for long. */
static const struct conf *load_first(bool settled)
{
    const struct conf *c = load_file("b.conf");
    CHECK(c != NULL);
    for (uint32_t i = 0; i < 2; i++)
        certificate(c, i)->begins_s = MARK;
    for (const struct conf_file *f = c->files; f; f = f->next)
        ((struct conf_file *)(uintptr_t)f)->id.settled = settled;
    return c;
}

static const struct conf *load_next(const struct conf *former)
{
    fixture_init(&fixture_two);
    return conf_load_after("b.conf", former, &fixture_two.arena, &fixture_two.errors);
}

static bool copied(const struct conf *c, uint32_t i)
{
    return certificate(c, i)->begins_s == MARK;
}

TEST(what_has_not_changed_is_copied)
{
    write_files();
    const struct conf *was = load_first(true), *now = load_next(was);
    CHECK(now && copied(now, 0) && copied(now, 1));
    const struct conf_certificate *a = certificate(was, 1), *b = certificate(now, 1);
    CHECK(a->chain.data != b->chain.data && a->key_der.data != b->key_der.data);
    CHECK_EQ(a->chain.len, b->chain.len);
    CHECK(memcmp(a->chain.data, b->chain.data, a->chain.len) == 0);
    CHECK_EQ(a->key_der.len, b->key_der.len);
    CHECK(memcmp(a->key_der.data, b->key_der.data, a->key_der.len) == 0);
    CHECK_EQ(b->name_count, 1);
    CHECK_STR(b->names[0], "b.test");
    CHECK_EQ(b->kind, CONF_KEY_EC);
    CHECK_EQ(conf_tls_find(now->listeners[0].tls, "b.test")->certificates[CONF_KEY_EC], 1);
    for (const struct conf_file *f = was->files; f; f = f->next) {
        const struct conf_file *again = now->files;
        while (again && strcmp(again->path, f->path) != 0)
            again = again->next;
        CHECK(again && again->fingerprint == f->fingerprint);
    }
}

TEST(contents_count_where_times_cannot_tell)
{
    write_files();
    const struct conf *now = load_next(load_first(false));
    CHECK(now && copied(now, 0) && copied(now, 1));
}

TEST(a_new_pair_is_read)
{
    write_files();
    const struct conf *was = load_first(true);
    write_pair("new.crt", "new.key", "c.test");
    CHECK(rename("new.crt", "b.crt") == 0 && rename("new.key", "b.key") == 0);
    const struct conf *now = load_next(was);
    CHECK(now && copied(now, 0) && !copied(now, 1));
    CHECK_STR(certificate(now, 1)->names[0], "c.test");
}

TEST(a_key_that_changes_alone_is_found_out)
{
    write_files();
    for (int settled = 0; settled < 2; settled++) {
        const struct conf *was = load_first(settled);
        write_pair("new.crt", "b.key", "b.test"); /* in place: the same inode and length */
        CHECK(load_next(was) == NULL);
        CHECK(strstr(conf_errors_format(&fixture_two.errors), "does not belong"));
        write_pair("b.crt", "b.key", "b.test");
    }
}

TEST(other_names_for_the_same_files_are_read)
{
    write_files();
    const struct conf *was = load_first(true);
    CHECK(link("b.key", "c.key") == 0);
    write_file("b.conf",
               "listeners = { web = { bind = \"*:443\", pool = \"app\", tls = { certificates = (\n"
               "  { cert = \"b.crt\", key = \"c.key\" }, { cert = \"a.crt\", key = \"a.key\" } ) "
               "} } }\npools = { app = { backends = [ \"127.0.0.1:1\" ] } }");
    const struct conf *now = load_next(was);
    CHECK(now && !copied(now, 0) && copied(now, 1));
}

TEST(what_has_expired_or_is_gone_is_no_more_copied)
{
    write_files();
    const struct conf *was = load_first(true);
    certificate(was, 0)->expires_s = MARK;
    const struct conf *now = load_next(was);
    CHECK(now && !copied(now, 0) && copied(now, 1));
    CHECK(certificate(now, 0)->expires_s > MARK);
    CHECK_EQ(unlink("b.key"), 0);
    CHECK(load_next(was) == NULL);
    CHECK(strstr(conf_errors_format(&fixture_two.errors), "cannot read"));
}
