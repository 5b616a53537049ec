/*
 * conf/units.h: durations ("200ms", "5s", "1h") and sizes ("64k", "50m"): a whole number and
 * exactly one unit. Pure.
 */
#ifndef BALLAST_CONF_UNITS_H
#define BALLAST_CONF_UNITS_H

#include "base/base.h"

enum units_kind {
    UNITS_DURATION,
    UNITS_SIZE
}; /* in milliseconds: ms s m h d; in bytes: b k m g t */
enum units_result {
    UNITS_OK,
    UNITS_BARE, /* a number without a unit */
    UNITS_BAD,
    UNITS_HUGE /* does not fit 64 bits */
};
#define UNITS_STRLEN 32

/* *out is written on UNITS_OK only. */
enum units_result units_parse(enum units_kind kind, const char *text, uint64_t *out) MUST_CHECK;
/* The shortest exact form; out holds UNITS_STRLEN. Returns out. */
char *units_format(enum units_kind kind, uint64_t value, char *out);

#endif
