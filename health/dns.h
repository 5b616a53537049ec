/*
 * health/dns.h: questions to name servers, without waiting: c-ares driven by the process's loop.
 */
#ifndef BALLAST_HEALTH_DNS_H
#define BALLAST_HEALTH_DNS_H

#include <ares.h>
#include <ev.h>
#include "base/base.h"

#define DNS_SOCKETS_MAX 64u

struct dns;

struct dns_socket {
    ev_io io;
    struct dns *dns;
    int fd; /* -1: free */
};

struct dns {
    uint32_t magic;
    struct ev_loop *loop;
    ares_channel channel;
    ev_timer timer;
    struct dns_socket sockets[DNS_SOCKETS_MAX];
};

/* servers: "127.0.0.1:5353,[::1]:53", or "" for those of /etc/resolv.conf. NULL, or what is wrong.
 */
const char *dns_open(struct dns *d, struct ev_loop *loop, const char *servers) MUST_CHECK;
/* Every question that is open is answered with ARES_EDESTRUCTION. */
void dns_close(struct dns *d);
/* To be called after each question asked of d->channel: when to look again. */
void dns_asked(struct dns *d);

#endif
