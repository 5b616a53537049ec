/* How `sni` is read, compiled, searched and written. */
#include "conf/sni.h"

#include <string.h>
#include "base/hash.h"
#include "conf/dump.h"
#include "conf/types.h"
#include "shm/layout.h"

#define RULES_MAX 10000u
#define ALPN_MAX  32u

static const struct hash_key place = {0x736e692d72756c65u, 0x62616c6c61737421u};

/* What a rule is found by: "a.example"; ".a.example" for "*.a.example"; "" for "*". */
static const char *key_of(const struct conf_sni_rule *r)
{
    return r->host[0] == '*' ? r->host + 1 : r->host;
}

/* The slot of this key, or the free one where it would stand. */
static uint32_t *slot_of(const struct conf_sni *sni, const char *key, size_t len)
{
    uint32_t at = (uint32_t)hash_bytes(place, key, len);
    for (;; at++) {
        uint32_t *slot = &sni->slots[at & sni->mask];
        if (*slot == INDEX_NONE)
            return slot;
        const char *there = key_of(&sni->rules[*slot]);
        if (strlen(there) == len && memcmp(there, key, len) == 0)
            return slot;
    }
}

/* ---- search ---- */

static bool protocols_fit(const struct conf_sni_rule *r, const struct client_hello *hello)
{
    for (uint32_t i = 0; i < r->alpn_count; i++)
        if (client_hello_offers(hello, r->alpn[i], strlen(r->alpn[i])))
            return true;
    return r->alpn_count == 0;
}

static uint32_t find_key(const struct conf_sni *sni, const char *key, size_t len,
                         const struct client_hello *hello)
{
    for (uint32_t i = *slot_of(sni, key, len); i != INDEX_NONE; i = sni->rules[i].next)
        if (protocols_fit(&sni->rules[i], hello))
            return sni->rules[i].pool;
    return INDEX_NONE;
}

uint32_t sni_find(const struct conf_sni *sni, const struct client_hello *hello)
{
    const char *end = hello->host + hello->host_len;
    const char *key = hello->host;
    uint32_t pool = INDEX_NONE;
    while (key && key < end && pool == INDEX_NONE) {
        pool = find_key(sni, key, (size_t)(end - key), hello);
        key = memchr(key + 1, '.', (size_t)(end - key - 1));
    }
    return pool != INDEX_NONE ? pool : find_key(sni, "", 0, hello);
}

/* ---- reading ---- */

/* A name, "*.name" or "*". */
static bool is_pattern(const char *host)
{
    if (strcmp(host, "*") == 0)
        return true;
    const char *name = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    size_t len = strlen(name);
    if (len == 0 || len > 253 || name[0] == '.' || name[len - 1] == '.' || strstr(name, ".."))
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

void value_read_sni_host(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                         const struct walk_at *at, void *field)
{
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, "a host such as \"a.example\" or \"*.a.example\"");
        return;
    }
    char *host = arena_strdup(w->arena, n->text);
    for (char *c = host; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 32);
    if (is_pattern(host))
        memcpy(field, &host, sizeof host);
    else
        walk_error(w, n->pos, at,
                   "\"%.100s\" is not a host such as \"a.example\", \"*.a.example\" or "
                   "\"*\"",
                   n->text);
}

void value_read_sni_alpn(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                         const struct walk_at *at, void *field)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (count == 0 || count > ALPN_MAX) {
        walk_error(w, n->pos, at, "holds %u protocols: 1 to %u", count, ALPN_MAX);
        return;
    }
    const char **names = ARENA_ARRAY(w->arena, const char *, count);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = first[i].kind == NODE_STRING ? strlen(first[i].text) : 0;
        if (len == 0 || len > 255) {
            walk_error_kind(w, &first[i], at, "protocols such as \"h2\", 1 to 255 bytes each");
            return;
        }
        names[i] = arena_strdup(w->arena, first[i].text);
    }
    list->items = names;
    list->count = count;
}

/* Behind the others of its name. */
static void link_rule(struct walk *w, struct conf_sni *sni, uint32_t index)
{
    struct conf_sni_rule *r = &sni->rules[index];
    const char *key = key_of(r);
    r->next = INDEX_NONE;
    for (uint32_t *at = slot_of(sni, key, strlen(key));; at = &sni->rules[*at].next) {
        if (*at == INDEX_NONE) {
            *at = index;
            return;
        }
        const struct conf_sni_rule *before = &sni->rules[*at];
        if (before->alpn_count == 0) {
            walk_error(w, r->pos, NULL,
                       "sni: \"%s\" is never reached: %s:%u takes all of that name", r->host,
                       before->pos.file, before->pos.line);
            return;
        }
    }
}

static void compile(struct walk *w, struct conf_sni *sni)
{
    uint32_t slots = 8;
    while (slots < sni->count * 2)
        slots *= 2;
    sni->mask = slots - 1;
    sni->slots = ARENA_ARRAY(w->arena, uint32_t, slots);
    memset(sni->slots, 0xff, slots * sizeof *sni->slots);
    for (uint32_t i = 0; i < sni->count; i++)
        if (sni->rules[i].host)
            link_rule(w, sni, i);
}

void object_read_sni(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if ((n->kind != NODE_LIST && n->kind != NODE_GROUP) || count == 0 || count > RULES_MAX) {
        walk_error(w, n->pos, at, "wants a list ( ) of 1 to %u groups", RULES_MAX);
        return;
    }
    struct conf_sni *sni = ARENA_NEW(w->arena, struct conf_sni);
    sni->rules = ARENA_ARRAY(w->arena, struct conf_sni_rule, count);
    sni->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        sni->rules[i].pos = walk_keep_pos(w, first[i].pos);
        sni->rules[i].pool = INDEX_NONE;
        walk_group(w, &first[i], first == n ? at : &element,
                   &(struct walk_target){row->section, (char *)&sni->rules[i]}, 1);
    }
    compile(w, sni);
    memcpy(field, &sni, sizeof sni);
}

/* ---- writing ---- */

void write_sni_alpn(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const char *const *names = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++)
        out_string(o, NULL, names[i]);
    out_array_end(o);
}

void write_sni(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_sni *const *sni = field;
    out_flat_list(o, row->name);
    for (uint32_t i = 0; i < (*sni)->count; i++) {
        out_group(o, NULL);
        dump_section(o, row->section, &(*sni)->rules[i]);
        out_group_end(o);
    }
    out_flat_list_end(o);
}
