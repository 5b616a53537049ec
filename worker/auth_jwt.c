/* worker/auth.h: signed tokens (RFC 7515, RFC 7519). The key decides which algorithms are possible,
 * never the token. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "base/base64url.h"
#include "base/clock.h"
#include "conf/route.h"
#include "worker/auth.h"
#include "worker/jwt_verify.h"
#include "worker/reply.h"

#define TOKEN_MAX 16384u

static bool refuse(struct txn *t, const char *why)
{
    char fields[400];
    snprintf(fields, sizeof fields, "WWW-Authenticate: Bearer realm=\"%s\"%s%s%s\r\n",
             t->route->guard->realm, why ? ", error=\"invalid_token\", error_description=\"" : "",
             why ? why : "", why ? "\"" : "");
    t->end = why ? why : "no token";
    reply_error_with(t, 401, "Unauthorized", fields);
    return false;
}

/* ---- the three parts ---- */

struct token {
    const char *text; /* header.payload, as signed */
    uint32_t signed_len, header_len;
    const char *signature;
    uint32_t signature_len;
};

static bool split(struct token *k, const char *text, uint32_t len)
{
    const char *first = memchr(text, '.', len);
    const char *second = first ? memchr(first + 1, '.', (size_t)(text + len - first - 1)) : NULL;
    if (!second || len > TOKEN_MAX)
        return false;
    k->text = text;
    k->header_len = (uint32_t)(first - text);
    k->signed_len = (uint32_t)(second - text);
    k->signature = second + 1;
    k->signature_len = (uint32_t)(text + len - k->signature);
    return !memchr(k->signature, '.', k->signature_len);
}

static json_t *decode_json(const char *text, uint32_t len)
{
    static unsigned char bytes[TOKEN_MAX];
    size_t n = base64url_decode(text, len, bytes, sizeof bytes);
    json_t *root = n ? json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

/* ---- the signature ---- */

static bool algorithm_allowed(const struct conf_jwt *j, const char *alg)
{
    for (uint32_t i = 0; i < j->algorithm_count; i++)
        if (strcmp(j->algorithms[i], alg) == 0)
            return true;
    return j->algorithm_count == 0;
}

/* Keys with another id are others; a key or a token without one is for any. */
static bool may_be_signed_by(const struct jwt_key *k, const char *kid, const char *alg)
{
    return (!k->kid || !kid || strcmp(k->kid, kid) == 0) && (!k->alg || strcmp(k->alg, alg) == 0);
}

static bool signature_right(struct gen *g, const struct conf_jwt *j, const struct token *token,
                            const char *alg, const char *kid)
{
    unsigned char signature[2048];
    size_t len =
        base64url_decode(token->signature, token->signature_len, signature, sizeof signature);
    for (uint32_t i = 0; i < j->key_count && len; i++)
        if (may_be_signed_by(&j->keys[i], kid, alg) &&
            jwt_verify(g, j, i, alg, token->text, token->signed_len, signature, len))
            return true;
    return false;
}

/* NULL, or what is wrong. */
static const char *judge_signature(struct txn *t, const struct conf_jwt *j,
                                   const struct token *token)
{
    json_t *header = decode_json(token->text, token->header_len);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *kid = json_object_get(header, "kid");
    const char *wrong = NULL;
    if (!alg || (kid && !json_is_string(kid)))
        wrong = "malformed";
    else if (json_object_get(header, "crit"))
        wrong = "critical extensions are not known";
    else if (!algorithm_allowed(j, alg))
        wrong = "algorithm not allowed";
    else if (!signature_right(t->gen, j, token, alg, json_string_value(kid)))
        wrong = "signature not valid";
    json_decref(header);
    return wrong;
}

/* ---- what it says ---- */

static bool names_audience(const struct conf_jwt *j, const char *name)
{
    for (uint32_t i = 0; i < j->audience_count && name; i++)
        if (strcmp(j->audience[i], name) == 0)
            return true;
    return false;
}

static bool audience_right(const struct conf_jwt *j, const json_t *aud)
{
    if (j->audience_count == 0 || names_audience(j, json_string_value(aud)))
        return true;
    for (size_t i = 0; i < json_array_size(aud); i++)
        if (names_audience(j, json_string_value(json_array_get(aud, i))))
            return true;
    return false;
}

static const char *judge_times(const struct conf_jwt *j, const json_t *claims)
{
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
    double now = (double)clock_wall_ms() / 1000.0, leeway = j->leeway_ms / 1000.0;
    if ((exp && !json_is_number(exp)) || (nbf && !json_is_number(nbf)))
        return "malformed";
    if (!exp && j->require_exp)
        return "no exp";
    if (exp && json_number_value(exp) + leeway <= now)
        return "expired";
    return nbf && json_number_value(nbf) - leeway > now ? "not valid yet" : NULL;
}

static const char *judge_claims(const struct conf_jwt *j, const json_t *claims)
{
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    const char *wrong = judge_times(j, claims);
    if (!wrong && j->issuer && (!issuer || strcmp(issuer, j->issuer) != 0))
        wrong = "wrong issuer";
    if (!wrong && !audience_right(j, json_object_get(claims, "aud")))
        wrong = "wrong audience";
    return wrong;
}

/* ---- claims as header fields ---- */

static bool fits_a_field(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* Strings, numbers and truth values; NULL for what else there is. */
static const char *text_of(const json_t *claim, char number[32])
{
    if (json_is_integer(claim))
        snprintf(number, 32, "%lld", (long long)json_integer_value(claim));
    else if (json_is_boolean(claim))
        snprintf(number, 32, "%s", json_is_true(claim) ? "true" : "false");
    else
        return json_string_value(claim);
    return number;
}

static bool add_claims(struct txn *t, const struct conf_jwt *j, const json_t *claims)
{
    for (uint32_t i = 0; i < j->claim_count; i++) {
        char number[32];
        const char *text = text_of(json_object_get(claims, j->claims[i].name), number);
        if (!text || !fits_a_field(text))
            continue;
        if (!t->claims && !(t->claims = buf_get(&t->worker->bufs, false)))
            return false;
        size_t len = strlen(text);
        if (buf_room(t->claims) < j->claims[i].value_len + len + 4)
            return false;
        buf_append(t->claims, j->claims[i].value, j->claims[i].value_len);
        buf_append(t->claims, ": ", 2);
        buf_append(t->claims, text, len);
        buf_append(t->claims, "\r\n", 2);
    }
    return true;
}

bool auth_jwt(struct txn *t, const struct http1_head *h, const char *base)
{
    const struct conf_jwt *j = &t->route->guard->jwt;
    uint32_t len = 0;
    struct token token;
    const char *text = auth_credentials(h, base, "Bearer", &len);
    if (!text)
        return refuse(t, NULL);
    if (!split(&token, text, len))
        return refuse(t, "malformed");
    const char *wrong = judge_signature(t, j, &token);
    if (wrong)
        return refuse(t, wrong);
    const char *payload = text + token.header_len + 1;
    json_t *claims = decode_json(payload, token.signed_len - token.header_len - 1);
    wrong = claims ? judge_claims(j, claims) : "malformed";
    if (!wrong && !add_claims(t, j, claims))
        wrong = "claims too long";
    json_decref(claims);
    return wrong ? refuse(t, wrong) : true;
}
