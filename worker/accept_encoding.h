/*
 * worker/accept_encoding.h: what a client says it takes (RFC 9110 12.5.3), and the coding for it.
 * Pure.
 */
#ifndef BALLAST_WORKER_ACCEPT_ENCODING_H
#define BALLAST_WORKER_ACCEPT_ENCODING_H

#include "conf/compress.h"

#define ACCEPT_UNSAID (-1)

/* Weights in thousandths, or ACCEPT_UNSAID. */
struct accept_encoding {
    int16_t weights[CODING_COUNT]; /* CODING_NONE: identity */
    int16_t others;                /* what "*" says */
};

void accept_encoding_init(struct accept_encoding *a);
/* One field's value; of several the first that names a coding counts. Malformed elements do not. */
void accept_encoding_add(struct accept_encoding *a, const char *value, uint32_t len);
/* What is liked best, among equals the first of `order` (CODING_COUNT - 1 places, CODING_NONE
 * where it is shorter). CODING_NONE: none, or the client would rather have it as it is. */
enum conf_coding accept_encoding_choose(const struct accept_encoding *a, const uint8_t *order);

#endif
