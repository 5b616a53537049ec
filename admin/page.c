#include "admin/page.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "admin/api.h"

/* dashboard.S */
extern const char dashboard_html[];
extern const uint64_t dashboard_html_bytes;

static char policy[640];

/* " 'sha256-...'" */
static size_t append_hash(const char *text, size_t len, char *out, size_t cap)
{
    unsigned char digest[EVP_MAX_MD_SIZE], base64[64];
    unsigned digest_bytes = 0;
    if (EVP_Digest(text, len, digest, &digest_bytes, EVP_sha256(), NULL) != 1)
        return 0;
    EVP_EncodeBlock(base64, digest, (int)digest_bytes);
    int n = snprintf(out, cap, " 'sha256-%s'", (const char *)base64);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* The hashes of all inline scripts; 'none' when there is none. */
static void list_scripts(const char *html, const char *end, char *out, size_t cap)
{
    static const char open[] = "<script>", close[] = "</script>";
    size_t at = 0;
    while (html < end) {
        const char *from = memmem(html, (size_t)(end - html), open, sizeof(open) - 1);
        if (!from)
            break;
        from += sizeof(open) - 1;
        const char *to = memmem(from, (size_t)(end - from), close, sizeof(close) - 1);
        if (!to)
            break;
        at += append_hash(from, (size_t)(to - from), out + at, cap - at);
        html = to + sizeof(close) - 1;
    }
    if (at == 0)
        snprintf(out, cap, " 'none'");
}

void page_policy(const char *html, size_t len, char *out, size_t cap)
{
    char scripts[256];
    list_scripts(html, html + len, scripts, sizeof(scripts));
    snprintf(out, cap,
             "default-src 'none'; script-src%s; style-src 'unsafe-inline'; img-src 'self' data:; "
             "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             scripts);
}

void page_prepare(void)
{
    page_policy(dashboard_html, dashboard_html_bytes, policy, sizeof(policy));
}

void page_dashboard(struct api *a, const struct request *q, struct response *r)
{
    (void)a;
    (void)q;
    response_fixed(r, "text/html; charset=utf-8", dashboard_html, dashboard_html_bytes);
    response_header(r, "Content-Security-Policy", "%s", policy);
    response_header(r, "Referrer-Policy", "no-referrer");
}
