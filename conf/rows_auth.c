/* What `auth` may say. */
#include "conf/auth.h"
#include "conf/rows_define.h"

PAIR(struct conf_jwt, audience, audience_count);
PAIR(struct conf_jwt, algorithms, algorithm_count);
PAIR(struct conf_jwt, claims, claim_count);
PAIR(struct conf_auth_request, headers, header_count);

static const struct conf_row jwt_rows[] = {
    {.name = "jwks",
     .type = CONF_T_JWKS,
     .flags = CONF_OMIT,
     FIELD(struct conf_jwt, jwks),
     .also = "jwks_file keys key_file",
     .help = "File with the keys as a JSON Web Key Set (RFC 7517)"},
    {.name = "secret_file",
     .type = CONF_T_JWT_SECRET,
     .flags = CONF_OMIT,
     FIELD(struct conf_jwt, secret_file),
     .also = "secret",
     .help =
         "File with the secret of HS256, HS384 and HS512; a line break at its end does not count"},
    {.name = "issuer",
     .type = CONF_T_STRING,
     .flags = CONF_OMIT,
     FIELD(struct conf_jwt, issuer),
     .min = 1,
     .max = 1024,
     .also = "iss",
     .help = "What the claim `iss` must be"},
    {.name = "audience",
     .type = CONF_T_NAMES,
     .flags = CONF_OMIT,
     FIELD(struct conf_jwt, audience),
     .also = "aud",
     .help = "The claim `aud` must have one of these"},
    {.name = "algorithms",
     .type = CONF_T_JWT_ALGORITHMS,
     .flags = CONF_OMIT,
     FIELD(struct conf_jwt, algorithms),
     .also = "alg algs",
     .help =
         "Only these, out of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
         "ES384, ES512, EdDSA; when left out, those that the keys are for. Never `none`"},
    {.name = "leeway",
     .type = CONF_T_DURATION,
     FIELD(struct conf_jwt, leeway_ms),
     .fallback = "30s",
     .max = HOUR,
     .also = "clock_skew skew",
     .help = "How far clocks may differ where `exp` and `nbf` are looked at"},
    {.name = "require_exp",
     .type = CONF_T_BOOL,
     FIELD(struct conf_jwt, require_exp),
     .fallback = "true",
     .help = "A token without `exp` is refused"},
    {.name = "claims",
     .type = CONF_T_FIELDS,
     .flags = CONF_OMIT,
     FIELD(struct conf_jwt, claims),
     .also = "claims_to_headers headers",
     .help = "Claims that the backend gets as header fields: `( ( \"sub\", \"X-User\" ) )`. What a "
             "client "
             "sends under these names is dropped"},
    END};
const struct conf_section conf_section_jwt = {
    "auth.jwt", jwt_rows,
    "Signed tokens in `Authorization: Bearer` (RFC 7519). Keys are read when the configuration is "
    "loaded; a token's algorithm must be one that its key is for."};

static const struct conf_row request_rows[] = {
    {.name = "pool",
     .type = CONF_T_POOL,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_auth_request, pool),
     .also = "backend service",
     .help = "Who is asked. One connection for each question, without TLS"},
    {.name = "path",
     .type = CONF_T_URI_PATH,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_auth_request, path),
     .max = 1024,
     .also = "uri url",
     .help = "What is asked for, with GET"},
    {.name = "headers",
     .type = CONF_T_FIELD_NAMES,
     .flags = CONF_OMIT,
     FIELD(struct conf_auth_request, headers),
     .also = "auth_request_set response_headers",
     .help = "Fields of its answer that the backend gets; what a client sends under these names is "
             "dropped"},
    {.name = "timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_auth_request, timeout_ms),
     .fallback = "5s",
     .min = 1,
     .max = HOUR,
     .help = "For an answer; without one the request is refused with 503"},
    END};
const struct conf_section conf_section_auth_request = {
    "auth.request", request_rows,
    "Somebody else is asked about each request: its header fields, `X-Original-URI` and "
    "`X-Original-Method` go there, without the body. 2xx lets it pass, 401 and 403 go to the "
    "client, "
    "anything else is 503."};

static const struct conf_row auth_rows[] = {
    {.name = "basic",
     .type = CONF_T_HTPASSWD,
     .flags = CONF_OMIT,
     FIELD(struct conf_auth, basic),
     .also = "auth_basic_user_file htpasswd users userlist",
     .help =
         "Password file as htpasswd writes it: bcrypt (cost at most 12), apr1, `{SHA}`, and what "
         "crypt(3) knows (`$5$`, `$6$`, `$y$`)"},
    {.name = "realm",
     .type = CONF_T_FIELD_VALUE,
     FIELD(struct conf_auth, realm),
     .fallback = "restricted",
     .min = 1,
     .max = 255,
     .also = "auth_basic",
     .help = "What a client is told that it is asked for"},
    {.name = "jwt",
     .type = CONF_T_GROUP,
     .flags = CONF_OMIT,
     FIELD(struct conf_auth, jwt),
     .section = &conf_section_jwt},
    {.name = "request",
     .type = CONF_T_GROUP,
     .flags = CONF_OMIT,
     FIELD(struct conf_auth, request),
     .section = &conf_section_auth_request,
     .also = "auth_request auth_url forward_auth ext_authz"},
    {.name = "off",
     .type = CONF_T_BOOL,
     .flags = CONF_OMIT,
     FIELD(struct conf_auth, off),
     .help = "For a route: the listener's `auth` does not hold here"},
    END};
const struct conf_section conf_section_auth = {
    "auth", auth_rows,
    "Of a listener or a route: who may ask. A route's replaces the listener's as a whole. It holds "
    "for "
    "what goes to a pool, not for `redirect` and `respond`."};
