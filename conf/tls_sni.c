/* conf/tls_sni.c: which certificate answers to a name. */
#include <string.h>
#include "conf/tls_load.h"
#include "shm/layout.h"

#define NAME_MAX_LEN 253u

uint64_t conf_tls_hash(const char *name, size_t len)
{
    /* FNV-1a: names in the table are the operator's own, so nobody can make them collide */
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3ull;
    return hash_mix64(h);
}

/* The place of a name, or the free one where it would be. */
static struct conf_tls_name *place_of(const struct conf_tls *t, const char *name, size_t len)
{
    uint32_t mask = t->sni_slots - 1;
    uint32_t at = (uint32_t)conf_tls_hash(name, len) & mask;
    while (t->sni[at].name && (strncmp(t->sni[at].name, name, len) != 0 || t->sni[at].name[len]))
        at = (at + 1) & mask;
    return &t->sni[at];
}

static const struct conf_tls_name *look_up(const struct conf_tls *t, const char *name, size_t len)
{
    const struct conf_tls_name *s = place_of(t, name, len);
    return s->name ? s : NULL;
}

/* Lower case, without the dot of the root; its length, or 0: not a name. */
static size_t normalize(const char *name, char out[NAME_MAX_LEN + 1])
{
    size_t len = strlen(name);
    if (len && name[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_MAX_LEN)
        return 0;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    out[len] = '\0';
    return len;
}

const struct conf_tls_name *conf_tls_find(const struct conf_tls *t, const char *name)
{
    char lower[NAME_MAX_LEN + 1];
    size_t len = normalize(name, lower);
    const struct conf_tls_name *found = len ? look_up(t, lower, len) : NULL;
    char *dot = found || !len ? NULL : strchr(lower, '.');
    if (dot && dot > lower) { /* "*" stands for exactly one label */
        dot[-1] = '*';
        found = look_up(t, dot - 1, len - (size_t)(dot - 1 - lower));
    }
    return found ? found : &t->fallback;
}

void tls_sni_begin(struct conf_tls *t, struct arena *arena, uint32_t names)
{
    t->sni_slots = 4;
    while (t->sni_slots < names * 2)
        t->sni_slots *= 2;
    t->sni = ARENA_ARRAY(arena, struct conf_tls_name, t->sni_slots);
    memset(t->fallback.certificates, 0xff, sizeof t->fallback.certificates);
}

void tls_sni_add(struct conf_tls *t, struct arena *arena, const char *name, uint32_t certificate)
{
    char lower[NAME_MAX_LEN + 1];
    size_t len = normalize(name, lower);
    if (!len)
        return;
    struct conf_tls_name *s = place_of(t, lower, len);
    if (!s->name) {
        s->name = arena_strdup(arena, lower);
        memset(s->certificates, 0xff, sizeof s->certificates);
    }
    enum conf_key_kind kind = t->certificates[certificate].kind;
    if (s->certificates[kind] == INDEX_NONE) /* the first in the file */
        s->certificates[kind] = certificate;
}
