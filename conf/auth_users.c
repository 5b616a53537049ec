/* Password files, as htpasswd writes them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conf/auth.h"
#include "conf/named_files.h"
#include "conf/types.h"

#define FILE_BYTES      (4u << 20)
#define BCRYPT_COST_MAX 12 /* 0.3 s of a processor for each password that is tried */

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int d = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return d ? d : a_len < b_len ? -1 : a_len > b_len;
}

static int compare_users(const void *a, const void *b)
{
    const struct auth_user *x = a, *y = b;
    return compare_names(x->name, x->name_len, y->name, y->name_len);
}

const struct auth_user *auth_find_user(const struct conf_auth *a, const char *name, size_t len)
{
    uint32_t low = 0, high = a->user_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct auth_user *u = &a->users[middle];
        int d = compare_names(u->name, u->name_len, name, len);
        if (d == 0)
            return u;
        if (d < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* What is wrong with a hash, or NULL. */
static const char *judge_hash(const char *hash, enum auth_scheme *scheme)
{
    *scheme = AUTH_CRYPT;
    if (strncmp(hash, "{SHA}", 5) == 0)
        *scheme = AUTH_SHA1;
    else if (strncmp(hash, "$apr1$", 6) == 0)
        *scheme = AUTH_APR1;
    else if (strncmp(hash, "$2", 2) == 0 && strlen(hash) == 60 && hash[3] == '$')
        return (hash[4] - '0') * 10 + hash[5] - '0' > BCRYPT_COST_MAX ? "has a bcrypt cost above 12"
                                                                      : NULL;
    else if (strncmp(hash, "$5$", 3) != 0 && strncmp(hash, "$6$", 3) != 0 &&
             strncmp(hash, "$y$", 3) != 0)
        return "is no hash that is known: use htpasswd -B";
    if (*scheme == AUTH_SHA1 && strlen(hash) != 33)
        return "is no {SHA} hash";
    return NULL;
}

struct reading {
    struct walk *w;
    const struct node *n;
    const struct walk_at *at;
    struct conf_auth *auth;
    unsigned line;
};

static void complain(const struct reading *r, const char *what)
{
    walk_error(r->w, r->n->pos, r->at, "%.200s:%u: %s", r->auth->basic, r->line, what);
}

static void take_line(struct reading *r, char *line, size_t len)
{
    while (len && isspace((unsigned char)line[len - 1]))
        line[--len] = '\0';
    char *colon = memchr(line, ':', len);
    if (len == 0 || *line == '#')
        return;
    if (!colon || colon == line || strlen(line) != len) {
        complain(r, "is not \"user:hash\"");
        return;
    }
    struct auth_user *u = &r->auth->users[r->auth->user_count++];
    *colon = '\0';
    u->name = line;
    u->name_len = (uint32_t)(colon - line);
    u->hash = colon + 1;
    const char *wrong = judge_hash(u->hash, &u->scheme);
    if (wrong)
        complain(r, wrong);
}

static void read_users(struct reading *r, char *text, size_t len)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    r->auth->users = ARENA_ARRAY(r->w->arena, struct auth_user, lines);
    for (char *at = text, *end = text + len; at < end;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        *stop = '\0';
        r->line++;
        take_line(r, at, (size_t)(stop - at));
        at = stop + 1;
    }
    qsort(r->auth->users, r->auth->user_count, sizeof *r->auth->users, compare_users);
    for (uint32_t i = 1; i < r->auth->user_count; i++)
        if (compare_users(&r->auth->users[i - 1], &r->auth->users[i]) == 0)
            walk_error(r->w, r->n->pos, r->at, "%.200s: there are two users \"%.60s\"",
                       r->auth->basic, r->auth->users[i].name);
    if (r->auth->user_count == 0)
        walk_error(r->w, r->n->pos, r->at, "\"%.200s\" names no user", r->auth->basic);
}

void value_read_htpasswd(struct walk *w, const struct conf_row *row, const struct node *n,
                         const struct walk_at *at, void *field)
{
    struct conf_auth *auth = CONTAINER_OF(field, struct conf_auth, basic);
    size_t len = 0;
    char *text = types_read_secret(w, row, n, at, field, FILE_BYTES, &len);
    struct reading r = {w, n, at, auth, 0};
    if (text)
        read_users(&r, text, len);
}

/* ---- any file ---- */

char *types_read_secret(struct walk *w, const struct conf_row *row, const struct node *n,
                        const struct walk_at *at, void *field, size_t max, size_t *len)
{
    const char **path = field;
    struct conf_row plain = *row;
    plain.min = 1;
    plain.max = 4095;
    value_read_path(w, &plain, n, at, field);
    if (n->kind != NODE_STRING || !*path || !**path)
        return NULL;
    char *text = named_file_read(w, w->arena, *path, max, len);
    if (!text)
        walk_error(w, n->pos, at, "cannot read \"%.200s\": %s", *path,
                   errno == EFBIG    ? "too long"
                   : errno == EINVAL ? "not a regular file"
                                     : strerror(errno));
    return text;
}
