#include "health/resolve.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/magic.h"
#include "health/dns.h"
#include "health/pace.h"
#include "health/resolve_apply.h"
#include "shm/events.h"

#define RESOLVE_MAGIC 0x52534C31u /* "RSL1" */
#define SRV_MAX       64u
#define FASTEST_MS    100u

/* One backend that is a name. */
struct name {
    struct resolve *resolve;
    const struct conf_pool *pool;
    const struct conf_backend *backend;
    uint32_t source;
    ev_timer due;
    uint32_t open;     /* questions not answered yet */
    const char *fault; /* static; of this round; NULL: none */
    bool failing;      /* said so */
    struct resolve_found found;
};

/* One host that is being looked up: of the backend itself, or of a service record. */
struct question {
    struct name *name;
    uint16_t port;
    uint32_t weight;
    bool backup;
};

struct resolve {
    uint32_t magic;
    struct child *child;
    struct dns dns;
    bool open, closing;
    struct name *names;
    uint32_t count;
    uint64_t random;
};

uint32_t resolve_source(const struct conf_pool *pool, const struct conf_backend *b)
{
    const struct hash_key key = {0x62616c6c, 0x617374};
    char text[512];
    int n = snprintf(text, sizeof(text), "%s %s", pool->name, b->name);
    uint32_t h = (uint32_t)hash_bytes(key, text, (size_t)n);
    return h != 0 ? h : 1;
}

const struct conf_health *resolve_health(const struct conf_pool *pool, uint32_t source)
{
    for (uint32_t i = 0; i < pool->backend_count; i++) {
        const struct conf_backend *b = &pool->backends[i];
        if (b->resolve_ms != 0 && b->health != NULL && resolve_source(pool, b) == source)
            return b->health;
    }
    return NULL;
}

/* ---- a round ends: all its questions are answered ---- */

static void announce(struct name *n, const char *from, const char *to, const char *reason)
{
    const struct child *c = n->resolve->child;
    char object[2 * NAME_MAX_BYTES];
    snprintf(object, sizeof(object), "%s:%s", n->pool->name, n->backend->name);
    event_write(c->table, c->slot, "discovery", object, from, to, reason);
}

/* Once for each beginning and end of trouble. */
static void tell_fault(struct name *n)
{
    bool failing = n->fault != NULL;
    if (failing && !n->failing)
        announce(n, "", "unresolved", n->fault);
    else if (!failing && n->failing)
        announce(n, "unresolved", "resolved", "");
    n->failing = failing;
}

static void end_round(struct name *n)
{
    struct resolve *r = n->resolve;
    if (n->found.count == 0 && n->fault == NULL)
        n->fault = "the name has no address";
    n->found.partial = n->fault != NULL;
    tell_fault(n);
    if (n->found.count > 0)
        resolve_apply(r->child->table, r->child->slot, n->pool, n->backend, n->source, &n->found);
    uint32_t every_ms = n->backend->resolve_ms < FASTEST_MS ? FASTEST_MS : n->backend->resolve_ms;
    ev_timer_set(&n->due, pace_next_s(every_ms, false, hash_mix64(++r->random)), 0.);
    ev_timer_start(r->child->loop, &n->due);
}

static void answered(struct name *n)
{
    if (--n->open == 0 && !n->resolve->closing)
        end_round(n);
}

/* ---- addresses ---- */

static void take_address(struct question *q, const struct ares_addrinfo_node *node)
{
    struct resolve_address a = {.weight = q->weight, .backup = q->backup};
    net_addr_from_sockaddr(&a.addr, node->ai_addr, node->ai_addrlen);
    if (a.addr.u.sa.sa_family == AF_INET)
        a.addr.u.in.sin_port = htons(q->port);
    else if (a.addr.u.sa.sa_family == AF_INET6)
        a.addr.u.in6.sin6_port = htons(q->port);
    else
        return;
    if (!net_addr_is_wildcard(&a.addr))
        resolve_found_add(&q->name->found, &a);
}

static void on_addresses(void *arg, int status, int timeouts UNUSED, struct ares_addrinfo *result)
{
    struct question *q = arg;
    if (status != ARES_SUCCESS)
        q->name->fault = ares_strerror(status);
    for (const struct ares_addrinfo_node *node = result ? result->nodes : NULL; node != NULL;
         node = node->ai_next)
        take_address(q, node);
    if (result != NULL)
        ares_freeaddrinfo(result);
    answered(q->name);
    free(q);
}

static void ask_host(struct name *n, const char *host, uint16_t port, uint32_t weight, bool backup)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};
    struct question *q = malloc(sizeof(*q));
    if (q == NULL) {
        n->fault = "no memory";
        return;
    }
    *q = (struct question){.name = n, .port = port, .weight = weight, .backup = backup};
    n->open++;
    ares_getaddrinfo(n->resolve->dns.channel, host, NULL, &hints, on_addresses, q);
}

/* ---- service records ---- */

static uint16_t best_priority(const struct ares_srv_reply *list)
{
    uint16_t best = UINT16_MAX;
    for (; list != NULL; list = list->next)
        best = list->priority < best ? list->priority : best;
    return best;
}

/* The best priority serves, the others stand by. A weight beyond what a backend may have is scaled
 * by nobody: it is the most there is. */
static void take_services(struct name *n, const struct ares_srv_reply *list)
{
    uint16_t best = best_priority(list);
    uint32_t count = 0;
    for (; list != NULL && count < SRV_MAX; list = list->next, count++) {
        uint32_t weight = list->weight == 0 ? 1 : list->weight > 256 ? 256 : list->weight;
        if (list->port != 0 && *list->host != '\0' && strcmp(list->host, ".") != 0)
            ask_host(n, list->host, list->port, weight,
                     n->backend->backup || list->priority != best);
    }
}

static void on_services(void *arg, int status, int timeouts UNUSED, unsigned char *answer, int len)
{
    struct name *n = arg;
    struct ares_srv_reply *list = NULL;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(answer, len, &list);
    if (status != ARES_SUCCESS)
        n->fault = ares_strerror(status);
    if (!n->resolve->closing)
        take_services(n, list);
    ares_free_data(list);
    answered(n);
}

/* ---- asking ---- */

/* "name:8080", "srv:_http._tcp.name" */
static void ask(struct name *n)
{
    const char *address = n->backend->address, *colon = strrchr(address, ':');
    char host[256];
    n->fault = NULL;
    n->found.count = 0;
    n->open = 1; /* this call: answers may come at once */
    if (strncmp(address, "srv:", 4) == 0) {
        n->open++;
        ares_query(n->resolve->dns.channel, address + 4, ns_c_in, ns_t_srv, on_services, n);
    } else {
        snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
        ask_host(n, host, (uint16_t)strtoul(colon + 1, NULL, 10), n->backend->weight,
                 n->backend->backup);
    }
    answered(n);
    dns_asked(&n->resolve->dns);
}

static void on_due(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct name *n = CONTAINER_OF(w, struct name, due);
    MAGIC_CHECK(n->resolve, RESOLVE_MAGIC);
    ask(n);
}

/* ---- following the configuration ---- */

static uint32_t count_names(const struct conf *c)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < c->pool_count; p++)
        for (uint32_t b = 0; b < c->pools[p].backend_count; b++)
            count += c->pools[p].backends[b].resolve_ms != 0;
    return count;
}

static void add_name(struct resolve *r, const struct conf_pool *pool, const struct conf_backend *b)
{
    struct name *n = &r->names[r->count++];
    n->resolve = r;
    n->pool = pool;
    n->backend = b;
    n->source = resolve_source(pool, b);
    ev_timer_init(&n->due, on_due, 0., 0.);
    ev_timer_start(r->child->loop, &n->due);
}

static void add_names(struct resolve *r, const struct conf *c)
{
    for (uint32_t p = 0; p < c->pool_count; p++)
        for (uint32_t b = 0; b < c->pools[p].backend_count; b++)
            if (c->pools[p].backends[b].resolve_ms != 0)
                add_name(r, &c->pools[p], &c->pools[p].backends[b]);
}

static void forget_others(struct resolve *r)
{
    uint32_t *sources = calloc(r->count + 1, sizeof(*sources));
    if (sources == NULL)
        return;
    for (uint32_t i = 0; r->names != NULL && i < r->count; i++)
        sources[i] = r->names[i].source;
    resolve_forget_others(r->child->table, r->child->slot, sources, r->count);
    free(sources);
}

static void servers_of(const struct conf *c, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < c->resolver_count && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s%s", i ? "," : "", c->resolvers[i].text);
}

struct resolve *resolve_new(struct child *child)
{
    struct resolve *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    MAGIC_SET(r, RESOLVE_MAGIC);
    r->child = child;
    r->random = clock_mono_us() ^ ((uint64_t)getpid() << 32);
    return r;
}

void resolve_begin(struct resolve *r)
{
    const struct conf *c = r->child->conf;
    char servers[2048];
    resolve_stop(r);
    uint32_t count = count_names(c);
    servers_of(c, servers, sizeof(servers));
    r->names = count == 0 ? NULL : calloc(count, sizeof(*r->names));
    const char *wrong = r->names == NULL ? NULL : dns_open(&r->dns, r->child->loop, servers);
    r->open = r->names != NULL && wrong == NULL;
    if (wrong != NULL || (count > 0 && r->names == NULL))
        log_error("names are not looked up: %s", wrong != NULL ? wrong : "no memory");
    if (r->open)
        add_names(r, c);
    if (r->open || count == 0)
        forget_others(r);
}

void resolve_stop(struct resolve *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        ev_timer_stop(r->child->loop, &r->names[i].due);
    r->closing = true;
    if (r->open)
        dns_close(&r->dns);
    r->closing = r->open = false;
    free(r->names);
    r->names = NULL;
    r->count = 0;
}

void resolve_free(struct resolve *r)
{
    resolve_stop(r);
    MAGIC_CLEAR(r);
    free(r);
}
