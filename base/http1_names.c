#include "base/http1_int.h"

#define NAME(id, lit) [id] = {lit, sizeof(lit) - 1}
const struct http1_name http1_names[HTTP1_H_COUNT] = {
    NAME(HTTP1_H_HOST, "host"),
    NAME(HTTP1_H_CONNECTION, "connection"),
    NAME(HTTP1_H_CONTENT_LENGTH, "content-length"),
    NAME(HTTP1_H_TRANSFER_ENCODING, "transfer-encoding"),
    NAME(HTTP1_H_TE, "te"),
    NAME(HTTP1_H_TRAILER, "trailer"),
    NAME(HTTP1_H_UPGRADE, "upgrade"),
    NAME(HTTP1_H_KEEP_ALIVE, "keep-alive"),
    NAME(HTTP1_H_PROXY_CONNECTION, "proxy-connection"),
    NAME(HTTP1_H_PROXY_AUTHENTICATE, "proxy-authenticate"),
    NAME(HTTP1_H_PROXY_AUTHORIZATION, "proxy-authorization"),
    NAME(HTTP1_H_EXPECT, "expect"),
    NAME(HTTP1_H_X_FORWARDED_FOR, "x-forwarded-for"),
    NAME(HTTP1_H_X_FORWARDED_PROTO, "x-forwarded-proto"),
    NAME(HTTP1_H_X_FORWARDED_HOST, "x-forwarded-host"),
    NAME(HTTP1_H_X_REAL_IP, "x-real-ip"),
    NAME(HTTP1_H_X_REQUEST_ID, "x-request-id"),
    NAME(HTTP1_H_ACCEPT, "accept"),
    NAME(HTTP1_H_ACCEPT_ENCODING, "accept-encoding"),
    NAME(HTTP1_H_AUTHORIZATION, "authorization"),
    NAME(HTTP1_H_COOKIE, "cookie"),
    NAME(HTTP1_H_SET_COOKIE, "set-cookie"),
    NAME(HTTP1_H_DATE, "date"),
    NAME(HTTP1_H_SERVER, "server"),
    NAME(HTTP1_H_USER_AGENT, "user-agent"),
    NAME(HTTP1_H_REFERER, "referer"),
    NAME(HTTP1_H_ORIGIN, "origin"),
    NAME(HTTP1_H_LOCATION, "location"),
    NAME(HTTP1_H_VIA, "via"),
    NAME(HTTP1_H_CACHE_CONTROL, "cache-control"),
    NAME(HTTP1_H_FORWARDED, "forwarded"),
};

/*
 * A perfect hash over length and first letter, found by search. A collision is a compile error:
 * -Woverride-init complains about a slot that is initialised twice.
 */
#define AT(id, len, first) [HTTP1_NAME_SLOT(len, first)] = (id)
const uint8_t http1_name_slots[HTTP1_NAME_SLOTS] = {
    AT(HTTP1_H_HOST, 4, 'h'),
    AT(HTTP1_H_CONNECTION, 10, 'c'),
    AT(HTTP1_H_CONTENT_LENGTH, 14, 'c'),
    AT(HTTP1_H_TRANSFER_ENCODING, 17, 't'),
    AT(HTTP1_H_TE, 2, 't'),
    AT(HTTP1_H_TRAILER, 7, 't'),
    AT(HTTP1_H_UPGRADE, 7, 'u'),
    AT(HTTP1_H_KEEP_ALIVE, 10, 'k'),
    AT(HTTP1_H_PROXY_CONNECTION, 16, 'p'),
    AT(HTTP1_H_PROXY_AUTHENTICATE, 18, 'p'),
    AT(HTTP1_H_PROXY_AUTHORIZATION, 19, 'p'),
    AT(HTTP1_H_EXPECT, 6, 'e'),
    AT(HTTP1_H_X_FORWARDED_FOR, 15, 'x'),
    AT(HTTP1_H_X_FORWARDED_PROTO, 17, 'x'),
    AT(HTTP1_H_X_FORWARDED_HOST, 16, 'x'),
    AT(HTTP1_H_X_REAL_IP, 9, 'x'),
    AT(HTTP1_H_X_REQUEST_ID, 12, 'x'),
    AT(HTTP1_H_ACCEPT, 6, 'a'),
    AT(HTTP1_H_ACCEPT_ENCODING, 15, 'a'),
    AT(HTTP1_H_AUTHORIZATION, 13, 'a'),
    AT(HTTP1_H_COOKIE, 6, 'c'),
    AT(HTTP1_H_SET_COOKIE, 10, 's'),
    AT(HTTP1_H_DATE, 4, 'd'),
    AT(HTTP1_H_SERVER, 6, 's'),
    AT(HTTP1_H_USER_AGENT, 10, 'u'),
    AT(HTTP1_H_REFERER, 7, 'r'),
    AT(HTTP1_H_ORIGIN, 6, 'o'),
    AT(HTTP1_H_LOCATION, 8, 'l'),
    AT(HTTP1_H_VIA, 3, 'v'),
    AT(HTTP1_H_CACHE_CONTROL, 13, 'c'),
    AT(HTTP1_H_FORWARDED, 9, 'f'),
};

uint8_t http1_name_id(const char *name, size_t len)
{
    if (len == 0 || len > HTTP1_NAME_MAX_BYTES) {
        return HTTP1_H_OTHER;
    }
    uint8_t id = http1_name_slots[HTTP1_NAME_SLOT((unsigned)len, (uint8_t)name[0] | 0x20u)];
    const struct http1_name *n = &http1_names[id];
    return http1_token_is(name, len, n->text, n->len) ? id : HTTP1_H_OTHER;
}
