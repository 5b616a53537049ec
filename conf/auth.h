/*
 * conf/auth.h: who may ask: networks, passwords, tokens. Files are read when the configuration is
 * loaded, by the master; what they hold is secret and never shown.
 */
#ifndef BALLAST_CONF_AUTH_H
#define BALLAST_CONF_AUTH_H

#include "conf/conf.h"
#include "conf/template.h"

/* Ways in which a password file says a password. */
enum auth_scheme { AUTH_SHA1, AUTH_APR1, AUTH_CRYPT };

struct auth_user {
    const char *name, *hash;
    uint32_t name_len;
    enum auth_scheme scheme;
};

enum jwt_family { JWT_NONE, JWT_HMAC, JWT_RSA, JWT_EC, JWT_EDDSA };

struct jwt_key {
    enum jwt_family family;
    const char *kid;            /* NULL: for any */
    const char *alg;            /* NULL: any of its family */
    uint32_t bits;              /* of an elliptic curve */
    const unsigned char *bytes; /* of a secret; else a public key as SubjectPublicKeyInfo */
    uint32_t len;
};

struct conf_jwt {
    const char *jwks, *secret_file; /* paths; NULL: none */
    const char *issuer;             /* NULL: any */
    const char **audience;          /* one of these; none: any */
    uint32_t audience_count;
    const char **algorithms; /* only these; none: whatever the keys are for */
    uint32_t algorithm_count;
    uint32_t leeway_ms;
    bool require_exp;
    struct conf_named *claims; /* claim, header field */
    uint32_t claim_count;
    struct jwt_key *keys;
    uint32_t key_count;
    uint32_t first_key; /* among all of the configuration */
    struct conf_pos pos;
};

/* Somebody else is asked. */
struct conf_auth_request {
    const char *path; /* NULL: nobody */
    uint32_t pool;
    uint32_t timeout_ms;
    const char **headers; /* of the answer: what the backend gets to see */
    uint32_t header_count;
    struct conf_template head; /* the question up to the client's own fields */
};

struct conf_auth {
    bool off;
    const char *realm;
    const char *basic; /* path of a password file; NULL: none */
    struct conf_jwt jwt;
    struct conf_auth_request request;
    struct auth_user *users; /* by name */
    uint32_t user_count;
    struct conf_pos pos;
};

/* conf/auth_keys.c: adds the keys of a JSON Web Key Set. 0, or -1 with a reason. */
int jwt_read_set(struct conf_jwt *j, struct arena *arena, const char *text, size_t len, char *why,
                 size_t why_cap) MUST_CHECK;
void jwt_add_secret(struct conf_jwt *j, struct arena *arena, const char *bytes, size_t len);

/* The user of this name, or NULL. */
const struct auth_user *auth_find_user(const struct conf_auth *a, const char *name, size_t len);

#endif
