/* worker/udp_quic.c: see the header. */
#include "worker/udp_quic.h"

#include <string.h>
#include "shm/stick.h"
#include "worker/sticky.h"

#define LONG_HEADER 0x80u
#define ID_LONG     8u /* bytes of an id that are looked at: so many, or */
#define ID_SHORT    4u
#define ID_MAX      20u       /* of QUIC version 1 */
#define NOTE_MS     86400000u /* a connection may be quiet for long */

struct id {
    const unsigned char *at;
    size_t len; /* 0: there is none */
};

static uint64_t key_of(const struct udp_key *k, const unsigned char *id, uint32_t len)
{
    static const struct hash_key seed = {0x7175696320636964u, 0x20746f206261636bu};
    struct {
        struct in6_addr to;
        uint32_t bind_id, len;
        unsigned char id[ID_LONG];
    } named = {.to = k->to, .bind_id = k->bind_id, .len = len};
    memcpy(named.id, id, len);
    return hash_bytes(seed, &named, sizeof named);
}

/* The ids of a long header; false: it is not one, or of a version negotiation. */
static bool read_long(const unsigned char *p, size_t len, struct id *to, struct id *from)
{
    static const unsigned char none[4];
    if (len < 7 || !(p[0] & LONG_HEADER) || memcmp(p + 1, none, sizeof none) == 0)
        return false;
    *to = (struct id){p + 6, p[5]};
    if (to->len > ID_MAX || len < 7 + to->len)
        return false;
    *from = (struct id){p + 7 + to->len, p[6 + to->len]};
    return from->len <= ID_MAX && len >= 7 + to->len + from->len;
}

/* Whom a client's datagram calls. A short header does not say how long the id is. */
static struct id called(const unsigned char *p, size_t len)
{
    struct id to, from;
    if (len > 0 && !(p[0] & LONG_HEADER))
        return (struct id){p + 1, len - 1};
    return read_long(p, len, &to, &from) ? to : (struct id){p, 0};
}

void udp_quic_find(struct txn *t, const struct udp_key *key, const char *bytes, size_t len)
{
    const struct id id = called((const unsigned char *)bytes, len);
    if (id.len >= ID_LONG)
        sticky_find_session(t, key_of(key, id.at, ID_LONG), NOTE_MS);
    if (id.len >= ID_SHORT && t->stick == INDEX_NONE)
        sticky_find_session(t, key_of(key, id.at, ID_SHORT), NOTE_MS);
}

void udp_quic_learn(struct udp_session *s, const char *bytes, size_t len)
{
    struct id to, from;
    const struct txn *t = s->conn->txn;
    if (!read_long((const unsigned char *)bytes, len, &to, &from) || from.len < ID_SHORT)
        return;
    uint64_t key = key_of(&s->key, from.at, from.len >= ID_LONG ? ID_LONG : ID_SHORT);
    if (key == s->called)
        return;
    s->called = key;
    stick_put(t->worker->table, key, t->entry, t->worker->now_us);
}
