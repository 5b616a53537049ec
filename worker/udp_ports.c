/* worker/udp_ports.c: see the header. */
#include "worker/udp_ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS       65536u
#define KEPT_ENOUGH 1024u /* fewer would be easy to guess for who forges answers */
#define TRIES       16u   /* before the kernel is asked for another one */
#define PAIRS_FIRST 4096u

/* ---- the set of pairs: open addressing, the port in the low 16 bits ---- */

static uint64_t pair_of(const struct net_addr *to, uint16_t port)
{
    static const struct hash_key key = {0x62616c6c61737420u, 0x7564702070616972u};
    uint64_t hash = hash_bytes(key, &to->u, to->len_bytes);
    return hash << 16 | port | (uint64_t)1 << 63; /* never 0 */
}

static uint32_t slot_of(const struct udp_ports *p, uint64_t pair)
{
    uint32_t at = (uint32_t)hash_mix64(pair) & p->pair_mask;
    while (p->pairs[at] && p->pairs[at] != pair)
        at = (at + 1) & p->pair_mask;
    return at;
}

static bool grow(struct udp_ports *p)
{
    uint32_t old_count = p->pairs ? p->pair_mask + 1 : 0;
    uint32_t count = old_count ? 2 * old_count : PAIRS_FIRST;
    uint64_t *old = p->pairs, *pairs = calloc(count, sizeof *pairs);
    if (!pairs)
        return false;
    p->pairs = pairs;
    p->pair_mask = count - 1;
    for (uint32_t i = 0; i < old_count; i++)
        if (old[i])
            pairs[slot_of(p, old[i])] = old[i];
    free(old);
    return true;
}

static bool has(const struct udp_ports *p, uint64_t pair)
{
    return p->pairs && p->pairs[slot_of(p, pair)] == pair;
}

static bool add_pair(struct udp_ports *p, uint64_t pair)
{
    if ((!p->pairs || 2 * (p->pair_count + 1) > p->pair_mask) && !grow(p))
        return false;
    p->pairs[slot_of(p, pair)] = pair;
    p->pair_count++;
    return true;
}

/* Those behind it move up, or they would not be found any more. */
static void remove_pair(struct udp_ports *p, uint64_t pair)
{
    uint32_t hole = slot_of(p, pair), at = hole;
    if (!p->pairs[hole])
        return;
    p->pairs[hole] = 0;
    p->pair_count--;
    while (p->pairs[at = (at + 1) & p->pair_mask]) {
        uint32_t home = (uint32_t)hash_mix64(p->pairs[at]) & p->pair_mask;
        if (((at - home) & p->pair_mask) < ((at - hole) & p->pair_mask))
            continue;
        p->pairs[hole] = p->pairs[at];
        p->pairs[at] = 0;
        hole = at;
    }
}

/* ---- kept ports ---- */

static bool prepare(struct udp_ports *p)
{
    if (p->refs)
        return true;
    uint16_t *all = calloc(3 * (size_t)PORTS, sizeof *all); /* touched as ports are kept */
    if (!all)
        return false;
    p->refs = all;
    p->where = all + PORTS;
    p->kept = all + 2 * (size_t)PORTS;
    p->random = hash_key_random().k0;
    return true;
}

static void keep(struct udp_ports *p, uint16_t port)
{
    if (p->refs[port]++ > 0)
        return;
    p->where[port] = (uint16_t)p->count;
    p->kept[p->count++] = port;
}

static void let_go(struct udp_ports *p, uint16_t port)
{
    if (--p->refs[port] > 0)
        return;
    uint16_t last = p->kept[--p->count];
    p->kept[p->where[port]] = last;
    p->where[last] = p->where[port];
}

/* One that this backend does not know, looked for at so many places from a random one on; 0: none.
 */
static uint16_t find(struct udp_ports *p, const struct net_addr *to, uint32_t tries)
{
    if (!p->count)
        return 0;
    p->random = hash_mix64(p->random + 0x9e3779b97f4a7c15u);
    uint64_t backend = pair_of(to, 0);
    uint32_t at = (uint32_t)(p->random % p->count);
    for (uint32_t i = 0; i < tries && i < p->count; i++, at = (at + 1) % p->count)
        if (!has(p, backend | p->kept[at]))
            return p->kept[at];
    return 0;
}

/* ---- sockets ---- */

static int open_socket(const struct net_addr *to)
{
    return socket(to->u.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int share(int fd)
{
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
}

static int give_up(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static int bind_port(int fd, sa_family_t family, uint16_t port)
{
    struct net_addr a = {.len_bytes = family == AF_INET ? sizeof a.u.in : sizeof a.u.in6};
    a.u.sa.sa_family = family;
    if (family == AF_INET)
        a.u.in.sin_port = htons(port);
    else
        a.u.in6.sin6_port = htons(port);
    return bind(fd, &a.u.sa, a.len_bytes);
}

static uint16_t port_of(int fd)
{
    struct net_addr a = {.len_bytes = sizeof a.u};
    if (getsockname(fd, &a.u.sa, &a.len_bytes) == -1)
        return 0;
    return net_addr_port(&a);
}

/* It is on this port: remembered, so that others may come to it. */
static uint64_t remember(struct udp_ports *p, const struct net_addr *to, uint16_t port)
{
    uint64_t pair = pair_of(to, port);
    if (port == 0 || has(p, pair) || !add_pair(p, pair))
        return 0;
    keep(p, port);
    return pair;
}

static int open_on(struct udp_ports *p, const struct net_addr *to, uint16_t port, uint64_t *pair)
{
    int fd = open_socket(to);
    if (fd == -1)
        return -1;
    if (share(fd) == -1 || bind_port(fd, to->u.sa.sa_family, port) == -1 ||
        connect(fd, &to->u.sa, to->len_bytes) == -1)
        return give_up(fd);
    *pair = remember(p, to, port);
    if (*pair)
        return fd;
    errno = ENOMEM; /* two on one port to one backend would take each other's answers */
    return give_up(fd);
}

static int open_anywhere(struct udp_ports *p, const struct net_addr *to, bool many, uint64_t *pair)
{
    int fd = open_socket(to);
    if (fd == -1)
        return -1;
    if (connect(fd, &to->u.sa, to->len_bytes) == -1)
        return give_up(fd);
    /* Alone on its port: from here on others that say so too may come to it. */
    if (many && prepare(p) && share(fd) == 0)
        *pair = remember(p, to, port_of(fd));
    return fd;
}

int udp_ports_open(struct udp_ports *p, const struct net_addr *to, bool many, uint64_t *pair)
{
    *pair = 0;
    uint16_t port = many && p->count >= KEPT_ENOUGH ? find(p, to, TRIES) : 0;
    int fd = port ? open_on(p, to, port, pair) : open_anywhere(p, to, many, pair);
    if (fd != -1 || port || (errno != EAGAIN && errno != EADDRNOTAVAIL))
        return fd;
    port = find(p, to, PORTS); /* the kernel has none left */
    return port ? open_on(p, to, port, pair) : -1;
}

void udp_ports_close(struct udp_ports *p, uint64_t pair)
{
    if (!pair)
        return;
    remove_pair(p, pair);
    let_go(p, (uint16_t)pair);
}
