/*
 * conf/compress.h: `compression` of a listener or a route: which answers are compressed, and how.
 * The codings' names are those of Content-Encoding.
 */
#ifndef BALLAST_CONF_COMPRESS_H
#define BALLAST_CONF_COMPRESS_H

#include "base/base.h"

enum conf_coding { CODING_NONE, CODING_GZIP, CODING_BROTLI, CODING_ZSTD, CODING_COUNT };

struct conf_compression {
    const char **algorithms; /* the preferred one first */
    uint32_t algorithm_count;
    const char **types; /* lower case; "text" and a slash and a star: all of text */
    uint32_t type_count;
    uint32_t level;
    uint64_t min_bytes; /* answers known to be shorter are left alone */
    bool offload;       /* backends are not told what the client takes */
    bool off;
    uint8_t order[CODING_COUNT - 1]; /* algorithms as enum conf_coding; CODING_NONE: no more */
};

/* "gzip", "br", "zstd"; NULL for none. */
const char *conf_coding_name(enum conf_coding coding);
/* The coding of this name, any case; CODING_NONE: no such one. */
enum conf_coding conf_coding_find(const char *name, size_t len);

#endif
