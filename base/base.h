/*
 * base/base.h: the handful of macros every file may use. No types, no functions with state.
 */
#ifndef BALLAST_BASE_BASE_H
#define BALLAST_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK      __attribute__((warn_unused_result))
#define PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define UNUSED          __attribute__((unused))
#define LIKELY(x)       __builtin_expect(!!(x), 1)
#define UNLIKELY(x)     __builtin_expect(!!(x), 0)
#define CACHE_LINE      64
#define ARRAY_LEN(a)    (sizeof(a) / sizeof((a)[0]))

/* The object that embeds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
