/*
 * conf/rows_define.h: how rows are written down; for the files that hold them only.
 */
#ifndef BALLAST_CONF_ROWS_DEFINE_H
#define BALLAST_CONF_ROWS_DEFINE_H

#include "conf/rows.h"

#define SECOND       1000ull
#define HOUR         (3600 * SECOND)
#define DURATION_MAX (24 * 24 * HOUR) /* fits a signed 32-bit number of milliseconds */
#define KIB          1024ull

#define FIELD(type_, member)                                                                       \
    .offset = (uint32_t)offsetof(type_, member), .width = (uint32_t)sizeof(((type_ *)0)->member)
#define LATER(name_)                                                                               \
    {                                                                                              \
        .name = (name_), .type = CONF_T_LATER                                                      \
    }
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
/* struct types_list (conf/types.h) stands for such a pair of fields */
#define PAIR(type_, items, count)                                                                  \
    _Static_assert(offsetof(type_, count) == offsetof(type_, items) + sizeof(void *),              \
                   "a list's count follows its items")

#endif
