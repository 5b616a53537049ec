#include "conf/route_match.h"

#include <string.h>
#include <strings.h>
#include "base/http1_pairs.h"
#include "conf/route_hosts.h"
#include "shm/layout.h"

/* A request in one reading, and the best that was found. */
struct search {
    const struct route_request *q;
    const char *host; /* only when a condition asks for it */
    const char *path;
    uint32_t host_len, path_len;
    const struct route_node *const *trees; /* that the host leads to */
    uint32_t tree_count;
    struct route_match *m;
    uint32_t best; /* rank; UINT32_MAX: none */
    bool gave_up;
};

/* ---- conditions ---- */

static bool span_is(const struct search *s, struct http1_span span, const char *text, uint32_t len)
{
    return span.len == len && memcmp(s->q->base + span.off, text, len) == 0;
}

static bool method_fits(const struct search *s, const struct conf_match *m)
{
    for (uint32_t i = 0; i < m->method_count; i++)
        if (span_is(s, s->q->head->method, m->methods[i], (uint32_t)strlen(m->methods[i])))
            return true;
    return m->method_count == 0;
}

static bool client_fits(const struct search *s, const struct conf_match *m)
{
    for (uint32_t i = 0; i < m->client_count && s->q->client; i++)
        if (net_cidr_match(&m->client[i], s->q->client))
            return true;
    return m->client_count == 0;
}

static bool header_fits(const struct search *s, const struct conf_named *p)
{
    const struct http1_head *h = s->q->head;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (f->name.len != p->name_len ||
            strncasecmp(s->q->base + f->name.off, p->name, p->name_len) != 0)
            continue;
        if (!p->value || span_is(s, f->value, p->value, p->value_len))
            return true;
    }
    return false;
}

static bool pairs_fit(const struct search *s, const struct conf_match *m)
{
    const struct http1_head *h = s->q->head;
    for (uint32_t i = 0; i < m->header_count; i++)
        if (!header_fits(s, &m->headers[i]))
            return false;
    for (uint32_t i = 0; i < m->cookie_count; i++)
        if (!http1_cookie_is(h, s->q->base, m->cookies[i].name, m->cookies[i].value))
            return false;
    for (uint32_t i = 0; i < m->query_count; i++)
        if (!http1_query_is(s->q->base + h->query.off, h->query.len, m->query[i].name,
                            m->query[i].value))
            return false;
    return true;
}

/* `*` is any text. Linear but for going back to the last star. */
static bool glob_fits(const char *glob, const char *path, uint32_t len)
{
    const char *star = NULL;
    uint32_t at = 0, mark = 0;
    while (at < len) {
        if (*glob == '*') {
            star = glob++;
            mark = at;
        } else if (*glob && *glob == path[at]) {
            glob++;
            at++;
        } else if (star) {
            glob = star + 1;
            at = ++mark;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

static bool regex_fits(struct search *s, const struct conf_match *m, struct http1_span *captures,
                       uint32_t *count)
{
    const size_t *spans = NULL;
    if (!m->path_regex)
        return true;
    int n = regex_match(s->q->regexes, m->regex, s->path, s->path_len, &spans);
    s->gave_up |= n == -1;
    for (int i = 0; i < n && captures; i++)
        captures[i] = spans[2 * i] == SIZE_MAX
                          ? (struct http1_span){0, 0}
                          : (struct http1_span){(uint32_t)spans[2 * i],
                                                (uint32_t)(spans[2 * i + 1] - spans[2 * i])};
    if (count && n > 0)
        *count = (uint32_t)n;
    return n > 0;
}

/* ---- named conditions: these are not in the tables ---- */

static bool one_host_fits(const struct search *s, const char *host)
{
    size_t len = strlen(host);
    if (strcmp(host, "*") == 0)
        return true;
    if (*host != '*')
        return s->host_len == len && memcmp(s->host, host, len) == 0;
    return s->host_len > len - 1 &&
           memcmp(s->host + s->host_len - (len - 1), host + 1, len - 1) == 0;
}

static bool one_path_fits(const struct search *s, const char *path)
{
    size_t len = strlen(path);
    if (*path == '=')
        return s->path_len == len - 1 && memcmp(s->path, path + 1, len - 1) == 0;
    if (strchr(path, '*'))
        return glob_fits(path, s->path, s->path_len);
    if (s->path_len < len || memcmp(s->path, path, len) != 0)
        return false;
    return path[len - 1] == '/' || s->path_len == len || s->path[len] == '/';
}

static bool any_fits(const struct search *s, const char *const *texts, uint32_t count,
                     bool (*fits)(const struct search *, const char *))
{
    for (uint32_t i = 0; i < count; i++)
        if (fits(s, texts[i]))
            return true;
    return count == 0;
}

static bool condition_holds(struct search *s, const struct conf_match *m)
{
    return any_fits(s, m->hosts, m->host_count, one_host_fits) &&
           any_fits(s, m->paths, m->path_count, one_path_fits) && method_fits(s, m) &&
           client_fits(s, m) && pairs_fit(s, m) && regex_fits(s, m, NULL, NULL);
}

static bool conditions_hold(struct search *s, const struct conf_route *r)
{
    for (uint32_t i = 0; i < r->when_count; i++)
        if (!condition_holds(s, &r->when_of[i]->match))
            return false;
    for (uint32_t i = 0; i < r->unless_count; i++)
        if (condition_holds(s, &r->unless_of[i]->match))
            return false;
    return true;
}

/* ---- entries ---- */

/* Everything but host and prefix, which led here. */
static bool rest_fits(struct search *s, const struct route_entry *e)
{
    const struct conf_match *m = &e->route->match;
    struct http1_span captures[REGEX_GROUPS];
    uint32_t count = 0;
    if (e->glob &&
        !glob_fits(e->glob + e->path_len, s->path + e->path_len, s->path_len - e->path_len))
        return false;
    if (!method_fits(s, m) || !client_fits(s, m) || !pairs_fit(s, m) ||
        !conditions_hold(s, e->route) || !regex_fits(s, m, captures, &count))
        return false;
    s->m->capture_count = count;
    memcpy(s->m->captures, captures, count * sizeof *captures);
    return true;
}

static void try_entries(struct search *s, const struct route_entry *const *e, uint32_t count)
{
    for (uint32_t i = 0; i < count && e[i]->rank < s->best && !s->gave_up; i++) {
        uint32_t len = e[i]->path_len;
        if (e[i]->segment && len < s->path_len && s->path[len] != '/')
            continue;
        if (e[i]->plain)
            s->m->capture_count = 0;
        else if (!rest_fits(s, e[i]))
            continue;
        s->best = e[i]->rank;
        s->m->entry = e[i];
        return;
    }
}

static void search_tree(struct search *s, const struct route_node *root)
{
    const struct route_node *n = route_descend(root, s->path, s->path_len);
    if (n->depth == s->path_len)
        try_entries(s, n->exacts, n->exact_count);
    if (!n->prefix_count)
        n = n->above;
    for (; n && n->best_above < s->best; n = n->above)
        try_entries(s, n->prefixes, n->prefix_count);
}

static void search_path(struct search *s, const char *path, uint32_t len)
{
    s->path = path;
    s->path_len = len;
    s->best = UINT32_MAX;
    s->m->entry = NULL;
    for (uint32_t i = 0; i < s->tree_count; i++)
        search_tree(s, s->trees[i]);
}

/* ---- the host ---- */

struct host_room {
    char host[ROUTE_HOST_BYTES];
    const struct route_node *trees[ROUTE_TREES_MAX];
};

static uint32_t look_up_trees(const struct conf_routes *routes, const char *host, uint32_t len,
                              const struct route_node **out)
{
    struct route_trees trees;
    uint32_t count = 0;
    route_trees_begin(&trees, routes, host, len);
    while (count < ROUTE_TREES_MAX && (out[count] = route_trees_next(&trees)))
        count++;
    return count;
}

static void find_trees(struct search *s, const struct conf_routes *routes, struct host_room *room)
{
    const char *at = s->q->base + s->q->head->authority.off;
    uint32_t len = s->q->head->authority.len;
    const struct route_memo_item *known = route_memo_find(s->q->memo, routes, at, len);
    if (known) {
        s->trees = known->trees;
        s->tree_count = known->count;
    }
    if (known && !routes->asks_host)
        return;
    s->host = room->host;
    s->host_len = route_host_of(at, len, room->host);
    if (known)
        return;
    s->trees = room->trees;
    s->tree_count = look_up_trees(routes, room->host, s->host_len, room->trees);
    route_memo_keep(s->q->memo, routes, at, len, room->trees, s->tree_count);
}

/* ---- the request ---- */

static int read_target(const struct route_request *q, struct uri_path *path)
{
    const struct http1_head *h = q->head;
    if (h->path.len)
        return uri_path_read(path, q->base + h->path.off, h->path.len, q->scratch);
    *path = (struct uri_path){"/", 1, "/", 1, NULL};
    return 0;
}

enum route_result route_match(const struct conf_routes *routes, const struct route_request *q,
                              struct route_match *m)
{
    struct host_room room;
    struct search s = {.q = q, .m = m};
    m->entry = NULL;
    m->route = NULL;
    m->capture_count = 0;
    if (read_target(q, &m->path) == -1)
        return ROUTE_REFUSED;
    find_trees(&s, routes, &room);
    search_path(&s, m->path.plain, m->path.plain_len);
    if (m->path.plain != m->path.literal) {
        const struct conf_route *plain = m->entry ? m->entry->route : NULL;
        search_path(&s, m->path.literal, m->path.literal_len);
        if (plain != (m->entry ? m->entry->route : NULL))
            return ROUTE_REFUSED;
    }
    if (s.gave_up)
        return ROUTE_REFUSED;
    m->route = m->entry ? m->entry->route : NULL;
    return m->route ? ROUTE_FOUND : ROUTE_NONE;
}
