/* conf/tls_ocsp.c: the OCSP response of a certificate (RFC 6960): whose it is, and how long it
 * holds. What is wrong with the file is an error; one that is only old is not stapled, and said. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include "base/clock.h"
#include "base/log.h"
#include "conf/tls_load.h"

/* The part of the response about this certificate; NULL: there is none. */
static OCSP_SINGLERESP *find(OCSP_BASICRESP *basic, X509 *leaf)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial = NULL;
        OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single);
        if (OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) == 1 &&
            ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0)
            return single;
    }
    return NULL;
}

static void judge(const struct tls_place *p, struct conf_certificate *c, OCSP_SINGLERESP *single)
{
    ASN1_GENERALIZEDTIME *until = NULL;
    struct conf_pos pos = tls_pos(p, "ocsp");
    int status = OCSP_single_get0_status(single, NULL, NULL, NULL, &until);
    c->ocsp_until_s = until ? tls_seconds(until) : UINT64_MAX;
    c->ocsp_good = status == V_OCSP_CERTSTATUS_GOOD;
    if (!c->ocsp_good)
        log_warning("%s:%u: the OCSP response \"%s\" says that the certificate is %s", pos.file,
                    pos.line, c->ocsp, OCSP_cert_status_str(status));
    if (c->ocsp_until_s <= clock_wall_ms() / 1000)
        log_warning("%s:%u: the OCSP response \"%s\" has expired: it is not stapled", pos.file,
                    pos.line, c->ocsp);
}

static void check(const struct tls_place *p, struct conf_certificate *c, OCSP_BASICRESP *basic,
                  X509 *leaf)
{
    OCSP_SINGLERESP *single = basic ? find(basic, leaf) : NULL;
    if (!basic)
        tls_complain(p, "ocsp", "\"%.200s\" is not a successful OCSP response", c->ocsp);
    else if (!single)
        tls_complain(p, "ocsp", "\"%.200s\" is about another certificate", c->ocsp);
    else
        judge(p, c, single);
}

void tls_load_ocsp(const struct tls_place *p, struct conf_certificate *c)
{
    c->ocsp_der = tls_read_bytes(p, "ocsp", c->ocsp);
    const unsigned char *at = c->ocsp_der.data, *leaf_at = c->chain.data;
    if (!c->ocsp_der.len || !c->chain.len)
        return;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)c->ocsp_der.len);
    X509 *leaf = d2i_X509(NULL, &leaf_at, (long)c->chain.len);
    if (!response || at != c->ocsp_der.data + c->ocsp_der.len)
        tls_complain(p, "ocsp", "\"%.200s\" is not an OCSP response in DER", c->ocsp);
    else if (leaf) {
        OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
        check(p, c, basic, leaf);
        OCSP_BASICRESP_free(basic);
    }
    X509_free(leaf);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
}
