/* conf/cache.h: the response cache: the room there is, and which responses are kept how long. */
#ifndef BALLAST_CONF_CACHE_H
#define BALLAST_CONF_CACHE_H

#include "base/base.h"

/* The room, one for the instance. */
struct conf_cache_store {
    uint64_t size_bytes;   /* 64m */
    uint64_t object_bytes; /* 1m: the longest body that is kept */
    bool wanted;           /* something is to be kept */
};

/* How long statuses are fresh whose responses do not say. */
struct conf_cache_valid {
    uint16_t from, to;
    uint32_t seconds;
};

enum conf_cache_header {
    CONF_CACHE_HEADER_X_CACHE,
    CONF_CACHE_HEADER_STATUS,
    CONF_CACHE_HEADER_OFF
};

/* Of a route or a pool. */
struct conf_cache {
    bool off;
    struct conf_cache_valid *valid; /* the first that fits */
    uint32_t valid_count;
    uint32_t if_error_ms, while_revalidate_ms;
    uint32_t wait_ms; /* for the fetch of another; 0: nobody waits */
    bool client_control;
    enum conf_cache_header header;
};

#endif
