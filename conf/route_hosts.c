#include "conf/route_hosts.h"

#include <string.h>
#include "base/hash.h"

/* The table is fixed and small chains are all that a stranger's name can meet: no secret needed,
 * any mixing will do. Eight bytes at a time; the last eight may overlap those before. */
uint64_t route_host_hash(const char *name, size_t len)
{
    uint64_t h = len, word = 0;
    if (len < sizeof word) {
        memcpy(&word, name, len);
        return hash_mix64(h ^ word << 8);
    }
    for (size_t i = 0; i + sizeof word < len; i += sizeof word) {
        memcpy(&word, name + i, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    memcpy(&word, name + len - sizeof word, sizeof word);
    return hash_mix64(h ^ word);
}

static uint64_t bit_of(uint32_t labels)
{
    return 1ull << (labels < 63 ? labels : 63);
}

uint64_t route_labels_bit(const char *name, size_t len)
{
    uint32_t labels = len > 0;
    for (size_t i = 0; i < len; i++)
        labels += name[i] == '.';
    return bit_of(labels);
}

/* Eight bytes to lower case: bit 7 of what is ASCII and between A and Z, moved to bit 5. */
static inline void lower_8(char *at)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t x;
    memcpy(&x, at, sizeof x);
    uint64_t low = x & 0x7f * ones;
    uint64_t upper = (low + (0x80 - 'A') * ones) ^ (low + (0x7f - 'Z') * ones);
    x |= (upper & ~x & 0x80 * ones) >> 2;
    memcpy(at, &x, sizeof x);
}

uint32_t route_host_of(const char *authority, size_t len, char out[ROUTE_HOST_BYTES])
{
    const char *end = len && *authority == '[' ? memchr(authority, ']', len) : NULL;
    const char *colon = end ? NULL : memchr(authority, ':', len);
    if (end)
        len = (size_t)(end + 1 - authority);
    else if (colon)
        len = (size_t)(colon - authority);
    if (len > 1 && authority[len - 1] == '.')
        len--;
    if (len >= ROUTE_HOST_BYTES)
        return 0;
    memcpy(out, authority, len);
    for (size_t i = 0; i < len; i += 8) /* out has room for whole eights */
        lower_8(out + i);
    return (uint32_t)len;
}

static const struct route_host *find(const struct conf_routes *r, const char *name, uint32_t len)
{
    uint64_t hash = route_host_hash(name, len);
    for (uint32_t i = (uint32_t)hash & r->host_mask; r->hosts[i].name; i = (i + 1) & r->host_mask)
        if (r->hosts[i].hash == hash && r->hosts[i].name_len == len &&
            memcmp(r->hosts[i].name, name, len) == 0)
            return &r->hosts[i];
    return NULL;
}

/* From the end of the host as far as wildcards go. */
static void find_suffixes(struct route_trees *t)
{
    uint64_t wanted = t->routes->wildcard_labels;
    uint32_t labels = 1;
    t->suffixes = 0;
    for (uint32_t i = t->len; i-- > 0 && wanted >= bit_of(labels);) {
        if (t->host[i] != '.')
            continue;
        if (wanted & bit_of(labels))
            t->starts[t->suffixes++] = (uint8_t)(i + 1);
        labels++;
    }
}

void route_trees_begin(struct route_trees *t, const struct conf_routes *routes, const char *host,
                       uint32_t len)
{
    t->routes = routes;
    t->host = host;
    t->len = routes->hosts ? len : 0;
    t->begun = t->any = false;
    find_suffixes(t);
}

/* The next wildcard that is there: fewer labels each time. */
static const struct route_node *next_wildcard(struct route_trees *t)
{
    while (t->suffixes) {
        uint8_t start = t->starts[--t->suffixes];
        const struct route_host *found = find(t->routes, t->host + start, t->len - start);
        if (found && found->wildcard)
            return found->wildcard;
    }
    return NULL;
}

const struct route_node *route_trees_next(struct route_trees *t)
{
    if (!t->begun && t->len) {
        const struct route_host *found = find(t->routes, t->host, t->len);
        t->begun = true;
        if (found && found->exact)
            return found->exact;
    }
    const struct route_node *wildcard = next_wildcard(t);
    if (wildcard || t->any)
        return wildcard;
    t->any = true;
    return t->routes->any_host;
}

static const struct route_node *find_child(const struct route_node *n, uint8_t first)
{
    uint32_t low = 0, high = n->child_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (n->firsts[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n->child_count && n->firsts[low] == first ? &n->children[low] : NULL;
}

const struct route_node *route_descend(const struct route_node *root, const char *path,
                                       uint32_t len)
{
    const struct route_node *n = root;
    while (n->depth < len) {
        const struct route_node *next = find_child(n, (uint8_t)path[n->depth]);
        if (!next || next->depth > len ||
            memcmp(next->label, path + n->depth, next->label_len) != 0)
            break;
        n = next;
    }
    return n;
}
