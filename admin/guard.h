/*
 * admin/guard.h: who may ask. Each check answers true, or false with the refusal in r.
 *
 * Host: on a loopback bind the name must be an IP literal, localhost, or the bind's own name, so
 * that a web page whose name was made to resolve to 127.0.0.1 (DNS rebinding) gets nothing. Origin:
 * what a browser sends on behalf of another site changes nothing here. Token: Authorization: Bearer
 * (RFC 6750), compared in constant time.
 */
#ifndef BALLAST_ADMIN_GUARD_H
#define BALLAST_ADMIN_GUARD_H

#include "admin/request.h"
#include "admin/response.h"

bool guard_host(const struct request *q, struct response *r);
bool guard_origin(const struct request *q, struct response *r);
/* token "": none is set and everything passes. */
bool guard_token(const char *token, const struct request *q, struct response *r);

#endif
