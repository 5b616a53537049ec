/*
 * base/magic.h: every long-lived object that a callback receives through a void pointer carries a
 * magic word first; the callback checks it before anything else, so a use after free is an abort
 * with a name, not a corruption.
 */
#ifndef BALLAST_BASE_MAGIC_H
#define BALLAST_BASE_MAGIC_H

#include <assert.h>
#include "base/base.h"

#define MAGIC_SET(obj, value)   ((obj)->magic = (value))
#define MAGIC_CHECK(obj, value) assert((obj)->magic == (value))
#define MAGIC_CLEAR(obj)        ((obj)->magic = 0xDEADDEADu)

#endif
