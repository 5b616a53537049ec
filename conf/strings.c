/* How strings of all kinds are read. Whatever is kept is copied into the configuration's arena. */
#include <ctype.h>
#include <grp.h>
#include <errno.h>
#include <string.h>
#include "base/http1.h"
#include "conf/named_files.h"
#include "conf/source.h"
#include "conf/suggest.h"
#include "conf/types.h"

#define STRING_MAX 4095u
#define TOKEN_MAX  4096u

/* The string that n is, checked for length and control characters, or NULL after a complaint. */
static const char *plain_string(struct walk *w, const struct conf_row *row, const struct node *n,
                                const struct walk_at *at)
{
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, "a string");
        return NULL;
    }
    size_t len = strlen(n->text), max = row->max ? row->max : STRING_MAX;
    for (const char *c = n->text; *c; c++) {
        if (iscntrl((unsigned char)*c)) {
            walk_error(w, n->pos, at, "has a control character (0x%02x) in it",
                       (unsigned)(unsigned char)*c);
            return NULL;
        }
    }
    if (len > max)
        walk_error(w, n->pos, at, "is longer than %zu bytes", max);
    else if (len < row->min)
        walk_error(w, n->pos, at, "cannot be empty");
    return len > max || len < row->min ? NULL : n->text;
}

const char *value_string(struct walk *w, const struct node *n, const struct walk_at *at,
                         uint32_t min, uint32_t max)
{
    return plain_string(w, &(struct conf_row){.min = min, .max = max}, n, at);
}

static void keep(struct walk *w, void *field, const char *text)
{
    const char **out = field;
    *out = arena_strdup(w->arena, text);
}

void value_read_string(struct walk *w, const struct conf_row *row, const struct node *n,
                       const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (text)
        keep(w, field, text);
}

void value_read_path(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (text)
        keep(w, field, *text ? source_absolute(w->dir, text, w->scratch) : "");
}

/* Visible ASCII only, and none of `but`. */
static bool is_visible(const char *text, const char *but)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text > '~' || strchr(but, *text))
            return false;
    return true;
}

void value_read_uri_path(struct walk *w, const struct conf_row *row, const struct node *n,
                         const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (!text)
        return;
    if (*text != '/')
        walk_error(w, n->pos, at, "\"%.60s\" does not begin with /", text);
    else if (!is_visible(text, "\"<>\\^`{|}#"))
        walk_error(w, n->pos, at, "\"%.60s\" has characters that a path must percent-encode", text);
    else
        keep(w, field, text);
}

/* A name of a header or cookie, after its prefix. */
static bool names_field(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 && text[n] && http1_is_token(text + n, strlen(text + n));
}

/* A part of the request, or what `also` names. */
static void read_key(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field, const char *also)
{
    static const char *const plain[] = {"client_ip", "uri", "path", "host"};
    const char *text = plain_string(w, row, n, at);
    if (!text)
        return;
    bool known = names_field(text, "header:") || names_field(text, "cookie:");
    known |= also && strcmp(text, also) == 0;
    for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
        known |= strcmp(text, plain[i]) == 0;
    if (known)
        keep(w, field, text);
    else
        walk_error(
            w, n->pos, at,
            "\"%.60s\" is not one of: client_ip, %s%suri, path, host, header:NAME, cookie:NAME",
            text, also ? also : "", also ? ", " : "");
}

void value_read_hash_key(struct walk *w, const struct conf_row *row, const struct node *n,
                         const struct walk_at *at, void *field)
{
    read_key(w, row, n, at, field, NULL);
}

void value_read_rate_key(struct walk *w, const struct conf_row *row, const struct node *n,
                         const struct walk_at *at, void *field)
{
    read_key(w, row, n, at, field, "global");
}

void value_read_host(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (!text)
        return;
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]") !=
        strlen(text))
        walk_error(w, n->pos, at, "\"%.60s\" is not a host name", text);
    else
        keep(w, field, text);
}

void value_read_name(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (!text)
        return;
    if (!*text)
        walk_error(w, n->pos, at, "cannot be empty");
    else if (!is_visible(text, "\"\\?#%&"))
        walk_error(w, n->pos, at,
                   "\"%.60s\" cannot be a name: visible ASCII characters but \" \\ ? # %% &", text);
    else
        keep(w, field, text);
}

void value_read_log_target(struct walk *w, const struct conf_row *row, const struct node *n,
                           const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (!text)
        return;
    if (strcmp(text, "stderr") == 0 || strcmp(text, "syslog") == 0) {
        keep(w, field, text);
    } else if (strchr(text, '/')) {
        keep(w, field, source_absolute(w->dir, text, w->scratch));
    } else {
        struct suggest s;
        suggest_init(&s, text);
        suggest_offer(&s, "stderr");
        suggest_offer(&s, "syslog");
        walk_error(w, n->pos, at, "\"%.60s\" is not stderr, syslog or a path%s", text,
                   walk_hint(w, s.best));
    }
}

/* Where the default user does not exist, there is always this one. */
void value_read_user(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (!text)
        return;
    bool missing = walk_system.user_missing(text);
    if (missing && n->pos.line)
        walk_error(w, n->pos, at, "there is no user \"%.60s\"", text);
    else
        keep(w, field, missing ? "nobody" : text);
}

void value_read_system_group(struct walk *w, const struct conf_row *row, const struct node *n,
                             const struct walk_at *at, void *field)
{
    const char *text = plain_string(w, row, n, at);
    if (!text)
        return;
    if (text[0] && !getgrnam(text))
        walk_error(w, n->pos, at, "there is no group \"%.60s\"", text);
    else
        keep(w, field, text);
}

/* ---- the admin token ---- */

static void report_unreadable(struct walk *w, const struct node *n, const struct walk_at *at,
                              const char *path)
{
    const char *why = strerror(errno);
    if (errno == EFBIG)
        why = "too long for a token";
    else if (errno == EINVAL)
        why = "not a regular file";
    walk_error(w, n->pos, at, "cannot read \"%.200s\": %s", path, why);
}

void value_read_token_file(struct walk *w, const struct conf_row *row, const struct node *n,
                           const struct walk_at *at, void *field)
{
    struct conf_admin *admin = CONTAINER_OF(field, struct conf_admin, token_file);
    value_read_path(w, row, n, at, field);
    admin->token = arena_strdup(w->arena, "");
    if (n->kind != NODE_STRING || !*n->text || !*admin->token_file)
        return;
    size_t len = 0;
    char *token = named_file_read(w, w->scratch, admin->token_file, TOKEN_MAX, &len);
    if (!token) {
        report_unreadable(w, n, at, admin->token_file);
        return;
    }
    while (len && isspace((unsigned char)token[len - 1]))
        token[--len] = '\0';
    if (len == 0)
        walk_error(w, n->pos, at, "\"%.200s\" is empty", admin->token_file);
    else if (strlen(token) != len || !is_visible(token, ""))
        walk_error(w, n->pos, at, "\"%.200s\" is not one line of visible ASCII characters",
                   admin->token_file);
    else
        keep(w, &admin->token, token);
}
