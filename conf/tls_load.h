/* conf/tls_load.h: what the files that load TLS settings share. */
#ifndef BALLAST_CONF_TLS_LOAD_H
#define BALLAST_CONF_TLS_LOAD_H

#include <openssl/ssl.h>
#include "conf/types.h"

/* A list of certificates for names that a table of so many must hold. */
void tls_sni_begin(struct conf_tls *t, struct arena *arena, uint32_t names);
void tls_sni_add(struct conf_tls *t, struct arena *arena, const char *name, uint32_t certificate);

#define TLS_FILE_MAX_BYTES (4u << 20)

/* Where a complaint points: a setting of a group, or the group itself. */
struct tls_place {
    struct walk *w;
    const struct node *group;
    const struct walk_at *at;
};
struct conf_pos tls_pos(const struct tls_place *p, const char *setting);
void tls_complain(const struct tls_place *p, const char *setting, const char *fmt, ...)
    PRINTF(3, 4);

/* Reads all certificates of a PEM file; NULL after a complaint. The caller frees it. */
STACK_OF(X509) * tls_read_chain(const struct tls_place *p, const char *setting, const char *path);
/* Reads the private key of a PEM file, its DER into the arena; NULL after a complaint. The caller
 * frees it. */
EVP_PKEY *tls_read_key(const struct tls_place *p, const char *setting, const char *path,
                       struct conf_der *kept);
/* The text of a file, in the scratch arena; NULL after a complaint. */
char *tls_slurp(const struct tls_place *p, const char *setting, const char *path, size_t *len);
/* The bytes of a file of at most 64 KiB, in the arena; len 0 after a complaint. */
struct conf_der tls_read_bytes(const struct tls_place *p, const char *setting, const char *path);
/* The OCSP response that a certificate names. */
void tls_load_ocsp(const struct tls_place *p, struct conf_certificate *c);
/* Certificates end to end as DER in the arena. */
struct conf_der tls_keep_chain(struct walk *w, STACK_OF(X509) * chain);
/* Complains when key and certificate are not a pair that this OpenSSL would use; warns when the
 * certificate has expired, or is about to. */
bool tls_check_pair(const struct tls_place *p, const char *setting, const char *path,
                    STACK_OF(X509) * chain, EVP_PKEY *key);
/* Warns when it is about to expire, or begins later than now (seconds of the epoch). */
void tls_warn_of_times(const struct tls_place *p, const char *setting, const char *path,
                       uint64_t begins_s, uint64_t expires_s);
/* Seconds of the epoch; 0: before it, or no time at all. */
uint64_t tls_seconds(const ASN1_TIME *t);
/* From w->former, if that knows the same files and nothing is to be said about them: the chain,
 * key, names and times of a certificate; its OCSP response, once it has its chain; the authorities
 * of a file that a pool named as `ca`. Expired ones are never copied. */
bool tls_carry_pair(struct walk *w, struct conf_certificate *c);
bool tls_carry_ocsp(struct walk *w, struct conf_certificate *c);
bool tls_carry_ca(struct walk *w, const char *ca, const char *path, struct conf_der *out);
/* Calls back for each DNS name of a certificate; returns how many. */
uint32_t tls_names(X509 *leaf, void (*each)(void *data, const char *name), void *data);
/* The reason of the oldest error in OpenSSL's queue, which is emptied. */
const char *tls_why(void);

#endif
