/* POST /lb/backends/add: reads the whole body, says what is wrong with each field, then resolves
 * and adds. */
#include "admin/api.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "admin/body.h"
#include "admin/hosts.h"
#include "admin/view.h"

#define PORT_MAX            65535
#define WEIGHT_MAX          256
#define CONNECTIONS_MAX     1000000
#define HOST_MAX            100
#define HOST_AS_NAME_MAX    (NAME_MAX_BYTES - sizeof("[]:65535"))
#define DEFAULT_WEIGHT      1
#define DEFAULT_CONNECTIONS 1000

struct add {
    const char *host, *pool_name, *id; /* NULL: not given; owned by the body */
    uint32_t port;
    uint32_t weight, max_connections;
    bool backup;
    /* found out */
    uint32_t pool;
    char endpoint[NET_ADDR_STRLEN];
    char name[NAME_MAX_BYTES];
    struct net_addr addr;
};

/* What is wrong with each field; texts are static. */
struct faults {
    struct {
        char field[32];
        const char *text;
    } list[16];
    size_t count;
};

static void fault(struct faults *f, const char *field, const char *text)
{
    if (f->count == ARRAY_LEN(f->list))
        return;
    snprintf(f->list[f->count].field, sizeof(f->list[0].field), "%s", field);
    f->list[f->count++].text = text;
}

/* ---- one reader per field: NULL, or what is wrong ---- */

static bool whole_number(const struct body_field *v, int64_t low, int64_t high, uint32_t *out)
{
    if (v->type != BODY_INTEGER || v->integer < low || v->integer > high)
        return false;
    *out = (uint32_t)v->integer;
    return true;
}

static bool is_unix(const char *host)
{
    return strncmp(host, "unix:", 5) == 0;
}

static const char *read_host(struct add *add, const struct body_field *v)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    const char *text = v->text;
    if (!*text)
        return "must be an IP address, a host name or unix:/path";
    if (strlen(text) > HOST_MAX)
        return "is too long";
    if (!is_unix(text) && text[strspn(text, allowed)])
        return "holds a character that no host name has";
    add->host = text;
    return NULL;
}

static const char *read_port(struct add *add, const struct body_field *v)
{
    return whole_number(v, 1, PORT_MAX, &add->port) ? NULL
                                                    : "must be a whole number from 1 to 65535";
}

static const char *read_weight(struct add *add, const struct body_field *v)
{
    return whole_number(v, 0, WEIGHT_MAX, &add->weight) ? NULL
                                                        : "must be a whole number from 0 to 256";
}

static const char *read_connections(struct add *add, const struct body_field *v)
{
    return whole_number(v, 0, CONNECTIONS_MAX, &add->max_connections)
               ? NULL
               : "must be a whole number from 0 (no limit) to 1000000";
}

static const char *read_backup(struct add *add, const struct body_field *v)
{
    add->backup = v->truth;
    return v->type == BODY_BOOL ? NULL : "must be true or false";
}

static const char *read_pool(struct add *add, const struct body_field *v)
{
    add->pool_name = v->text;
    return *v->text ? NULL : "must be the name of a pool";
}

static const char *read_id(struct add *add, const struct body_field *v)
{
    const char *text = v->text;
    if (!*text || strlen(text) >= NAME_MAX_BYTES)
        return "must be a name of 1 to 63 bytes";
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
            return "may hold visible ASCII characters only, no quote and no backslash";
    add->id = text;
    return NULL;
}

static const struct field {
    const char *name;
    const char *(*read)(struct add *add, const struct body_field *v);
} fields[] = {
    {"host", read_host},     {"port", read_port}, {"weight", read_weight},
    {"pool", read_pool},     {"id", read_id},     {"max_connections", read_connections},
    {"backup", read_backup},
};

static const struct field *field_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static void read_fields(struct add *add, const struct body *body, struct faults *f)
{
    for (uint32_t i = 0; i < body->count; i++) {
        const struct body_field *v = &body->fields[i];
        const struct field *field = field_find(v->name);
        const char *text = field ? field->read(add, v) : "is not a field of a backend";
        if (text)
            fault(f, v->name, text);
    }
    bool unix_socket = add->host && is_unix(add->host), has_port = body_find(body, "port") != NULL;
    if (!body_find(body, "host"))
        fault(f, "host", "is missing");
    if (add->host && !body_find(body, "id") && strlen(add->host) > HOST_AS_NAME_MAX)
        fault(f, "id", "is needed, as the host is too long to be a name");
    if (unix_socket && has_port)
        fault(f, "port", "has no meaning for a unix socket");
    if (!unix_socket && !has_port)
        fault(f, "port", "is missing");
}

/* ---- what the fields mean ---- */

/* The only pool, when none was named. */
static void choose_pool(struct add *add, const struct table *t, struct faults *f)
{
    add->pool = INDEX_NONE;
    if (add->pool_name) {
        add->pool = pool_find(t, add->pool_name);
        return;
    }
    uint32_t high = word_get(&t->header->pools_high), count = 0;
    for (uint32_t i = 0; i < high; i++)
        if (word_get(&t->pools[i].state) == ROW_LIVE) {
            add->pool = i;
            count++;
        }
    if (count != 1)
        fault(f, "pool", "is needed, as there is not exactly one pool");
}

static void make_endpoint(struct add *add)
{
    bool bare_v6 = strchr(add->host, ':') && add->host[0] != '[';
    if (is_unix(add->host))
        snprintf(add->endpoint, sizeof(add->endpoint), "%s", add->host);
    else
        snprintf(add->endpoint, sizeof(add->endpoint), bare_v6 ? "[%s]:%u" : "%s:%u", add->host,
                 add->port);
    snprintf(add->name, sizeof(add->name), "%.*s", (int)NAME_MAX_BYTES - 1,
             add->id ? add->id : add->endpoint);
}

/* The address without asking a name server: literal, localhost, or a line of /etc/hosts. */
static int resolve(struct add *add, char *why, size_t why_cap)
{
    char address[INET6_ADDRSTRLEN + 1] = "127.0.0.1", text[NET_ADDR_STRLEN];
    if (net_addr_parse(add->endpoint, &add->addr, why, why_cap) == 0) {
        snprintf(why, why_cap, "%s does not name one host", add->endpoint);
        return net_addr_is_wildcard(&add->addr) ? -1 : 0;
    }
    if (strcasecmp(add->host, "localhost") != 0 &&
        hosts_lookup("/etc/hosts", add->host, address, sizeof(address)) != 0) {
        snprintf(
            why, why_cap,
            "%s is neither an IP address nor in /etc/hosts; names that need DNS are not resolved "
            "here, give the address",
            add->host);
        return -1;
    }
    snprintf(text, sizeof(text), strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, add->port);
    return net_addr_parse(text, &add->addr, why, why_cap);
}

static void answer_faults(struct response *r, const struct faults *f)
{
    char detail[160];
    snprintf(detail, sizeof(detail), "%s %s%s", f->list[0].field, f->list[0].text,
             f->count > 1 ? " (and more, see errors)" : "");
    struct json *j = response_problem_open(r, 400, "bad-request", detail);
    json_key(j, "errors");
    json_object_begin(j);
    for (size_t i = 0; i < f->count; i++)
        json_kv_string(j, f->list[i].field, f->list[i].text);
    json_object_end(j);
    json_object_end(j);
}

static bool understand(struct add *add, const struct table *t, const struct body *body,
                       struct response *r)
{
    struct faults f = {.count = 0};
    char why[256];
    read_fields(add, body, &f);
    choose_pool(add, t, &f);
    if (f.count || !add->host) {
        answer_faults(r, &f);
        return false;
    }
    if (add->pool == INDEX_NONE) {
        response_problem(r, 404, "no-such-object", "there is no pool %.64s", add->pool_name);
        return false;
    }
    make_endpoint(add);
    if (resolve(add, why, sizeof(why)) == 0)
        return true;
    response_problem(r, 422, "unresolvable", "%s", why);
    return false;
}

/* ---- adding ---- */

/* A backend given no id is known by its address: the same address again is the same backend. */
static uint32_t find_same(const struct table *t, const struct add *add)
{
    uint32_t at = entry_find(t, add->pool, add->name);
    if (at != INDEX_NONE || add->id)
        return at;
    for (at = word_get(&pool_at(t, add->pool)->head); at != INDEX_NONE;
         at = word_get(&entry_at(t, at)->next))
        if (net_addr_equal(&entry_at(t, at)->addr, &add->addr))
            return at;
    return INDEX_NONE;
}

/* Under the lock. Returns the new row, or INDEX_NONE with the refusal in r. */
static uint32_t add_row(struct table *t, const struct add *add, struct response *r)
{
    char id[VIEW_ID_BYTES];
    const struct entry_spec spec = {
        .name = add->name,
        .endpoint = add->endpoint,
        .addr = add->addr,
        .weight = add->weight,
        .max_connections = add->max_connections,
        .backup = add->backup,
        .origin = ORIGIN_API,
    };
    if (word_get(&pool_at(t, add->pool)->state) != ROW_LIVE) {
        response_problem(r, 404, "no-such-object", "the pool was removed meanwhile");
        return INDEX_NONE;
    }
    uint32_t same = find_same(t, add);
    if (same != INDEX_NONE) {
        response_problem(r, 409, "exists", "there is a backend %s already", view_id(t, same, id));
        return INDEX_NONE;
    }
    uint32_t entry = entry_add(t, add->pool, &spec);
    if (entry == INDEX_NONE)
        response_problem(r, 503, "table-full", "the table of backends is full");
    return entry;
}

/* A path segment for an id: everything but unreserved characters and ':' is percent-encoded (RFC
 * 3986). */
static void encode_segment(const char *id, char *out, size_t cap)
{
    size_t at = 0;
    for (; *id && at + 4 < cap; id++) {
        unsigned char c = (unsigned char)*id;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~:", c);
        at += (size_t)snprintf(out + at, cap - at, plain ? "%c" : "%%%02X", c);
    }
    out[at] = '\0';
}

static void answer_added(const struct api *a, const struct request *q, struct response *r,
                         uint32_t entry)
{
    char id[VIEW_ID_BYTES], segment[VIEW_ID_BYTES * 3 + 1];
    view_id(a->table, entry, id);
    api_record(a, q, id, NULL, "added", "add");
    encode_segment(id, segment, sizeof(segment));
    api_backends_write(response_json(r, 201), a, entry);
    response_header(r, "Location", "/lb/backends/%s", segment);
}

void api_backends_add(struct api *a, const struct request *q, struct response *r)
{
    struct add add = {.weight = DEFAULT_WEIGHT, .max_connections = DEFAULT_CONNECTIONS};
    struct body body;
    char why[256];
    if (body_parse(&body, q->body, q->body_bytes, why, sizeof(why)) != 0) {
        response_problem(r, 400, "bad-request", "%s", why);
        return;
    }
    if (understand(&add, a->table, &body, r)) {
        table_lock(a->table);
        uint32_t entry = add_row(a->table, &add, r);
        table_unlock(a->table);
        if (entry != INDEX_NONE)
            answer_added(a, q, r, entry);
    }
    body_free(&body);
}
