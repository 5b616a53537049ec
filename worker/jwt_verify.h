/*
 * worker/jwt_verify.h: signatures of tokens (RFC 7518, RFC 8037). An algorithm counts only with a
 * key of its own family: a public key is never taken for a secret.
 */
#ifndef BALLAST_WORKER_JWT_VERIFY_H
#define BALLAST_WORKER_JWT_VERIFY_H

#include "conf/auth.h"
#include "worker/types.h"

/* A signature by a public key that was right is not computed again while the generation lives:
 * clients send the same token with every request. What the token says is for the caller to judge,
 * each time. */
bool jwt_verify(struct gen *g, const struct conf_jwt *j, uint32_t key, const char *alg,
                const char *text, size_t text_len, const unsigned char *signature,
                size_t signature_len);
/* Keys as this process has them: one place per key of the configuration, filled when first used;
 * and what was found right. */
void jwt_keys_free(struct gen *g);

#endif
