/*
 * base/traceparent.h: the field traceparent of W3C Trace Context, level 1: read strictly, written.
 * Pure.
 */
#ifndef BALLAST_BASE_TRACEPARENT_H
#define BALLAST_BASE_TRACEPARENT_H

#include "base/base.h"

#define TRACEPARENT_BYTES 55u /* "00-" trace "-" parent "-" flags */
#define TRACE_ID_BYTES    32u

/* Is the value one that may be passed on? Then *id is its trace. */
bool traceparent_read(const char *value, uint32_t len, uint64_t id[2]) MUST_CHECK;
/* Without a NUL. id and parent are not zero. */
void traceparent_write(char out[TRACEPARENT_BYTES], const uint64_t id[2], uint64_t parent,
                       bool sampled);
/* The trace alone, as it stands in the field. */
void traceparent_write_id(char out[TRACE_ID_BYTES], const uint64_t id[2]);

#endif
