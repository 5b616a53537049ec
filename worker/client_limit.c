/* worker/client_limit.c */
#include "worker/client_limit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "shm/clients.h"
#include "shm/events.h"
#include "worker/account.h"

#define QUIET_US          10000000u /* a limit that is hit again after so long is an event again */
#define IPV6_CLIENT_BYTES 8u

/* Each listener counts by itself. */
static uint64_t key_of(const struct conn *c)
{
    const struct peer *p = &c->peer;
    struct {
        uint32_t listener_row, family;
        uint8_t ip[16];
    } key = {c->listener_row, p->family, {0}};
    memcpy(key.ip, p->ip, p->family == AF_INET6 ? IPV6_CLIENT_BYTES : sizeof key.ip);
    return hash_bytes(c->worker->table->header->key, &key, sizeof key);
}

static void refuse(struct conn *c, const struct conf_listener *listener)
{
    struct worker *w = c->worker;
    char object[80], client[INET6_ADDRSTRLEN] = "unix", reason[144];
    account_refused(w, c->listener_row);
    bool onset = w->client_limit_us == 0 || w->now_us - w->client_limit_us >= QUIET_US;
    w->client_limit_us = w->now_us;
    if (!onset)
        return;
    if (c->peer.family != AF_UNIX)
        inet_ntop(c->peer.family, c->peer.ip, client, sizeof client);
    snprintf(object, sizeof object, "listeners.%.60s", listener->name);
    snprintf(reason, sizeof reason, "connections_per_client = %u, client %s",
             listener->limits.connections_per_client, client);
    event_write(w->table, w->slot, "client_limit", object, "passing", "limiting", reason);
}

void client_limit_take_over(struct conn *c)
{
    struct worker *w = c->worker;
    uint32_t cell;
    if (clients_take(w->table, w->slot, key_of(c), UINT32_MAX, &cell) && cell != CLIENTS_NONE)
        c->client_cell = cell + 1;
}

bool client_limit_admit(struct conn *c, const struct conf_listener *listener)
{
    struct worker *w = c->worker;
    uint32_t cell;
    if (!clients_take(w->table, w->slot, key_of(c), listener->limits.connections_per_client,
                      &cell)) {
        refuse(c, listener);
        return false;
    }
    c->client_cell = cell == CLIENTS_NONE ? 0 : cell + 1;
    return true;
}
