/* `auth` as a whole: what goes with what, and which one holds for a route. */
#include <string.h>
#include "base/http1.h"
#include "conf/auth.h"
#include "conf/dump.h"
#include "conf/route.h"
#include "conf/types.h"

static const char *const algorithms[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
                                         "RS512", "PS256", "PS384", "PS512", "ES256",
                                         "ES384", "ES512", "EdDSA", NULL};

void value_read_jwt_algorithms(struct walk *w, const struct conf_row *row, const struct node *n,
                               const struct walk_at *at, void *field)
{
    const struct types_list *list = field;
    value_read_names(w, row, n, at, field);
    const char *const *names = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        bool known = false;
        for (unsigned a = 0; algorithms[a]; a++)
            known |= strcmp(names[i], algorithms[a]) == 0;
        if (!known)
            walk_error(w, n->pos, at,
                       "\"%.60s\" is not one of: HS256, HS384, HS512, RS256, RS384, "
                       "RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA",
                       names[i]);
    }
}

#define FILE_BYTES (1u << 20)

void value_read_jwks(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    struct conf_jwt *j = CONTAINER_OF(field, struct conf_jwt, jwks);
    char why[240];
    size_t len = 0;
    char *text = types_read_secret(w, row, n, at, field, FILE_BYTES, &len);
    if (text && jwt_read_set(j, w->arena, text, len, why, sizeof why) == -1)
        walk_error(w, n->pos, at, "%.200s: %s", j->jwks, why);
}

void value_read_jwt_secret(struct walk *w, const struct conf_row *row, const struct node *n,
                           const struct walk_at *at, void *field)
{
    struct conf_jwt *j = CONTAINER_OF(field, struct conf_jwt, secret_file);
    size_t len = 0;
    char *text = types_read_secret(w, row, n, at, field, FILE_BYTES, &len);
    if (!text)
        return;
    if (len && text[len - 1] == '\n')
        len--;
    if (len && text[len - 1] == '\r')
        len--;
    if (len < 32) /* RFC 7518 3.2 */
        walk_error(w, n->pos, at,
                   "\"%.200s\" holds fewer than 32 bytes: a secret that can be guessed",
                   j->secret_file);
    else
        jwt_add_secret(j, w->arena, text, len);
}

static bool has_jwt(const struct conf_auth *a)
{
    return a->jwt.jwks || a->jwt.secret_file;
}

/* n may be no group: what stands in a list has no name. */
static const struct node *child(const struct node *n, const char *name)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (n->children[i].name && strcmp(n->children[i].name, name) == 0)
            return &n->children[i];
    return NULL;
}

static void check(struct walk *w, const struct node *n, const struct walk_at *at,
                  const struct conf_auth *a)
{
    const struct node *jwt = child(n, "jwt");
    static const char *const ways[] = {"basic", "jwt", "request"};
    const char *first = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
        if (child(n, ways[i]) && first)
            walk_error(w, child(n, ways[i])->pos, at, "has both \"%s\" and \"%s\": keep one", first,
                       ways[i]);
        first = child(n, ways[i]) ? ways[i] : first;
    }
    if (a->off && first)
        walk_error(w, n->pos, at, "is \"off\", and says how: keep one");
    else if (!a->off && !first)
        walk_error(w, n->pos, at, "one of \"basic\", \"jwt\", \"request\" and \"off\" is missing");
    else if (jwt && !has_jwt(a))
        walk_error(w, jwt->pos, at, "jwt: one of \"jwks\" and \"secret_file\" is missing");
    for (uint32_t i = 0; i < a->jwt.claim_count; i++)
        if (!http1_is_token(a->jwt.claims[i].value, a->jwt.claims[i].value_len))
            walk_error(w, a->jwt.claims[i].pos, at,
                       "jwt.claims: \"%.60s\" is not the name of a header field",
                       a->jwt.claims[i].value);
    if (a->realm && strpbrk(a->realm, "\"\\"))
        walk_error(w, n->pos, at, "realm: cannot have \" or \\ in it");
}

/* What every question begins with, but for its Host. */
static void compile_question(struct walk *w, struct conf_auth_request *r)
{
    static const char rest[] =
        "X-Original-URI: {uri}\r\nX-Original-Method: "
        "{method}\r\nX-Real-IP: {client_ip}\r\nX-Forwarded-For: {client_ip}\r\n"
        "X-Forwarded-Proto: {scheme}\r\nX-Forwarded-Host: {authority}\r\nConnection: close\r\n";
    char why[240];
    if (!r->path)
        return;
    const char *line = arena_printf(w->scratch, "GET %s HTTP/1.1\r\n", r->path);
    template_add_text(&r->head, w->arena, line, strlen(line));
    if (template_parse(&r->head, w->arena, rest, TEMPLATE_IN_HEADER, 0, why, sizeof why) == -1)
        r->head.count = 0; /* cannot be */
}

void auth_read(struct walk *w, const struct conf_row *row, const struct node *n,
               const struct walk_at *at, void *field)
{
    struct conf_auth **auth = field;
    struct conf_auth *a = *auth = ARENA_NEW(w->arena, struct conf_auth);
    uint32_t before = w->errors->count;
    walk_fill_defaults(w, row->section, a);
    if (!child(n, "jwt"))
        memset(&a->jwt, 0, sizeof a->jwt);
    if (!child(n, "request"))
        memset(&a->request, 0, sizeof a->request);
    a->pos = walk_keep_pos(w, n->pos);
    walk_group(w, n, at, &(struct walk_target){row->section, (char *)a}, 1);
    if (w->errors->count == before)
        check(w, n, at, a);
    compile_question(w, &a->request);
    a->jwt.first_key = w->conf->jwt_key_count;
    w->conf->jwt_key_count += a->jwt.key_count;
}

void auth_write(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_auth *const *auth = field;
    out_group(o, row->name);
    dump_section(o, row->section, *auth);
    out_group_end(o);
}
