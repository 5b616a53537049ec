/* cli/explain.h: what the files of `ballast explain` share. */
#ifndef BALLAST_CLI_EXPLAIN_H
#define BALLAST_CLI_EXPLAIN_H

#include "base/http1.h"
#include "base/json.h"
#include "base/net.h"
#include "cli/instance.h"
#include "conf/conf.h"

struct explain {
    struct instance instance;
    const struct conf *conf;
    const struct conf_listener *listener;
    bool as_json;
    struct json json;
    /* the request; head NULL: a TCP connection */
    const struct http1_head *head;
    const char *base;
    struct net_addr client;
    char client_text[NET_ADDR_STRLEN];
};

/* Candidates, who is left out and why, and the choice. */
void explain_pool(struct explain *x, const struct conf_pool *pool);

#endif
