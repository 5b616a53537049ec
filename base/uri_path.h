/*
 * base/uri_path.h: how the path of a request is read before a rule is applied to it (RFC 3986 3.3,
 * 5.2.4, 6.2.2). Pure, without allocation.
 *
 * Backends differ in what they make of a path: some decode %2F, merge //, treat \ as /, drop
 * ";name=value", resolve dot segments, some do not. So there are two readings: `plain` does all of
 * that, `literal` only decodes escapes (an escaped slash stays apart from a slash). Where a rule
 * says the same about both it is safe to apply; where not, the request is ambiguous. What no two
 * programs agree on is refused: malformed escapes, %00, dot segments that are escaped, carry
 * parameters, stand beside an escaped slash or a backslash, climb over an empty segment or above
 * the root.
 */
#ifndef BALLAST_BASE_URI_PATH_H
#define BALLAST_BASE_URI_PATH_H

#include "base/base.h"

#define URI_PATH_SLASH '\0' /* an escaped slash in the literal reading */

struct uri_path {
    const char *plain;
    uint32_t plain_len;
    const char *literal; /* the same pointer as plain where both readings are one */
    uint32_t literal_len;
    const uint8_t *escaped; /* of literal: 1 for each byte that was escaped; NULL: none was */
};

/* Reads a path that begins with '/'. scratch: room for 3 * len bytes, used only by paths that are
 * not plain already. 0, or -1: refuse it. */
int uri_path_read(struct uri_path *u, const char *path, uint32_t len, char *scratch) MUST_CHECK;

/* Writes bytes [from, from + len) of the literal reading as they stand in a URI. Returns how many,
 * or UINT32_MAX when there is no room for them. Nothing but visible ASCII comes out. */
uint32_t uri_path_write(const struct uri_path *u, uint32_t from, uint32_t len, char *out,
                        uint32_t cap);

#endif
