/* What listeners and pools may say about TLS. */
#include "conf/rows_define.h"

PAIR(struct conf_tls, certificates, certificate_count);
PAIR(struct conf_tls, alpn, alpn_count);

static const char *const versions[] = {[CONF_TLS_1_2] = "1.2", [CONF_TLS_1_3] = "1.3", NULL};
static const char *const policies[] = {
    [CONF_TLS_MODERN] = "modern", [CONF_TLS_INTERMEDIATE] = "intermediate", NULL};
static const char *const verifies[] = {[CONF_VERIFY_OFF] = "off",
                                       [CONF_VERIFY_OPTIONAL] = "optional",
                                       [CONF_VERIFY_REQUIRED] = "required",
                                       NULL};

static const struct conf_row certificate_rows[] = {
    {.name = "cert",
     .type = CONF_T_PATH,
     FIELD(struct conf_certificate, cert),
     .fallback = "",
     .also = "certificate crt ssl_certificate file",
     .help = "PEM file: the certificate, then the intermediate ones"},
    {.name = "key",
     .type = CONF_T_PATH,
     FIELD(struct conf_certificate, key),
     .fallback = "",
     .also = "private_key ssl_certificate_key",
     .help = "PEM file with its private key, without a passphrase. Only the master reads it"},
    {.name = "pem",
     .type = CONF_T_PATH,
     FIELD(struct conf_certificate, pem),
     .fallback = "",
     .also = "bundle combined",
     .help = "Instead of `cert` and `key`: one file with all of it"},
    {.name = "ocsp",
     .type = CONF_T_PATH,
     FIELD(struct conf_certificate, ocsp),
     .fallback = "",
     .also = "ocsp_response ssl_stapling_file",
     .help = "File with an OCSP response (DER) to staple; renew it with a reload. One that has "
             "expired is not stapled"},
    END};
const struct conf_section conf_section_certificate = {
    "listeners.*.tls.certificates", certificate_rows,
    "A list of groups. The first is the default; the others answer to the names in them, exact or "
    "`*.example.com`. For one name there may be one of each kind of key (RSA, ECDSA, Ed25519)."};

static const struct conf_row tls_rows[] = {
    {.name = "certificates",
     .type = CONF_T_CERTIFICATES,
     .flags = CONF_REQUIRED,
     FIELD(struct conf_tls, certificates),
     .section = &conf_section_certificate,
     .also = "certificate cert certs",
     .help = "Who this listener is"},
    {.name = "policy",
     .type = CONF_T_ENUM,
     FIELD(struct conf_tls, policy),
     .fallback = "intermediate",
     .names = policies,
     .also = "profile security_policy",
     .help = "`intermediate`: TLS 1.2 with forward secrecy and authenticated encryption, and 1.3; "
             "`modern`: TLS 1.3 only"},
    {.name = "min_version",
     .type = CONF_T_ENUM,
     .flags = CONF_DERIVED,
     FIELD(struct conf_tls, min_version),
     .fallback = "the policy's",
     .names = versions,
     .also = "min_protocol ssl_protocols minimum_version ssl_min_ver",
     .help = "Oldest version of TLS that is spoken"},
    {.name = "ciphers",
     .type = CONF_T_STRING,
     FIELD(struct conf_tls, ciphers),
     .fallback = "",
     .also = "cipher_list ssl_ciphers ciphersuites",
     .help = "Instead of the policy's: names as OpenSSL writes them, separated by `:`; those of "
             "TLS 1.3 begin with `TLS_`"},
    {.name = "alpn",
     .type = CONF_T_ALPN,
     .needs = CONF_KIND_HTTP,
     FIELD(struct conf_tls, alpn),
     .also = "protocols",
     .help = "Protocols that are offered, the preferred one first: `h2`, `http/1.1`. Without it: "
             "both"},
    {.name = "tickets",
     .type = CONF_T_BOOL,
     FIELD(struct conf_tls, tickets),
     .fallback = "true",
     .also = "session_tickets",
     .help = "Clients keep their sessions (resumed by every worker, and after a reload); `false`: "
             "each worker remembers those that it made"},
    {.name = "session_timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_tls, session_timeout_ms),
     .fallback = "10m",
     .min = SECOND,
     .max = 24 * HOUR,
     .also = "ssl_session_timeout",
     .help = "How long a session can be resumed"},
    {.name = "client_ca",
     .type = CONF_T_PATH,
     FIELD(struct conf_tls, client_ca),
     .fallback = "",
     .also = "ca ca_file ssl_client_certificate",
     .help = "PEM file with the certificate authorities of clients"},
    {.name = "client_verify",
     .type = CONF_T_ENUM,
     FIELD(struct conf_tls, client_verify),
     .fallback = "off",
     .names = verifies,
     .also = "verify verify_client ssl_verify_client",
     .help = "Are clients asked for a certificate? `optional`: without one they come in too; a bad "
             "one is always refused. Backends see `X-Client-Cert-Verify` (`SUCCESS` or `NONE`), "
             "`-Subject`, `-Issuer`, `-Serial` and `-SHA256`; what clients send under these names "
             "is removed"},
    {.name = "hsts",
     .type = CONF_T_DURATION,
     .needs = CONF_KIND_HTTP,
     FIELD(struct conf_tls, hsts_ms),
     .fallback = "0ms",
     .max = 3650ull * 24 * HOUR,
     .also = "strict_transport_security",
     .help = "`Strict-Transport-Security` in every answer, for so long, such as `\"365d\"`; `0s`: "
             "none"},
    END};
const struct conf_section conf_section_tls = {
    "listeners.*.tls", tls_rows,
    "Present: clients speak TLS. Certificates are read at load and at "
    "each reload, which changes no open connection."};

static const struct conf_row pool_tls_rows[] = {
    {.name = "verify",
     .type = CONF_T_BOOL,
     FIELD(struct conf_pool_tls, verify),
     .fallback = "true",
     .help = "Is the backend's certificate checked, with its name?"},
    {.name = "ca",
     .type = CONF_T_PATH,
     FIELD(struct conf_pool_tls, ca),
     .fallback = "",
     .also = "ca_file cafile trusted_ca",
     .help = "PEM file with the authorities that are trusted; empty: the system's"},
    {.name = "sni",
     .type = CONF_T_HOST,
     FIELD(struct conf_pool_tls, sni),
     .fallback = "",
     .max = 253,
     .also = "server_name name host",
     .help = "Name to ask for and to find in the certificate; empty: the host of the backend's "
             "address"},
    {.name = "cert",
     .type = CONF_T_PATH,
     FIELD(struct conf_pool_tls, cert),
     .fallback = "",
     .also = "certificate client_cert",
     .help = "PEM file with the certificate that is shown to backends"},
    {.name = "key",
     .type = CONF_T_PATH,
     FIELD(struct conf_pool_tls, key),
     .fallback = "",
     .also = "client_key",
     .help = "PEM file with its private key; empty: it is in `cert` too"},
    END};
const struct conf_section conf_section_pool_tls = {
    "pools.*.tls", pool_tls_rows, "Present: TLS towards the backends of the pool."};
